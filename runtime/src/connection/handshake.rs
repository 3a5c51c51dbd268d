//! The handshake: each end shows that it has the key before a byte of the other's messages is looked at.
//!
//! Responsible for the order of its steps and for what stands in them, as in the table of the room's head. Reads and writes
//! nothing itself: it is given the bytes that came and gives those that are to go, so that one thread can lead many
//! handshakes, and a test can lead one through anything.
//!
//! Invariants:
//!
//! * Every step has a fixed length, so nothing of the other's choosing is allocated, and not a byte is read beyond the step.
//! * A proof is over the prover's role, both greetings with their fresh nonces, and what both have said: one that was
//!   recorded, or is played back to its maker, proves nothing. The listener proves nothing to whoever has not.
//! * What the other end says about itself is taken in only after its proof.

use super::error::ConnectionError;
use super::key::{Key, MAC_LEN, random};
use super::terms::{TERMS_LEN, Terms};
use crate::error::Error;

/// Begins every connection. Not text, and damaged by whatever mends the ends of lines.
const MAGIC: [u8; 8] = *b"\x89prcsn\r\n";

/// Of the handshake, the frames and the values in them. Each change to one of them makes it another.
pub(super) const VERSION: u16 = 1;

/// How numbers lie in memory, in which form they are sent: the bytes of a word, and its order.
const DIALECT: u8 = size_of::<usize>() as u8 | if cfg!(target_endian = "big") { 0x80 } else { 0 };

const NONCE_LEN: usize = 32;
const HELLO_LEN: usize = 16 + NONCE_LEN;
const INTRODUCTION_LEN: usize = TERMS_LEN + MAC_LEN;

type Hello = [u8; HELLO_LEN];

/// The first byte of a listener's answer.
const WELCOME: u8 = 0;
const WRONG_KEY: u8 = 1;
const TOO_SLOW: u8 = 2;
const CROWDED: u8 = 3;

/// Which end one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client = 1,
    Listener = 2,
}

impl Role {
    /// What a proof of this end begins with.
    fn label(self) -> &'static [u8] {
        match self {
            Self::Client => b"procession connection, client's proof",
            Self::Listener => b"procession connection, listener's proof",
        }
    }
}

/// One end of a handshake under way.
#[derive(Debug)]
pub(super) struct Handshake {
    role: Role,
    key: Key,
    own_hello: Hello,
    stage: Stage,
    /// What has come of the step that is awaited.
    inbox: Vec<u8>,
}

#[derive(Debug)]
enum Stage {
    Hello,
    /// The listener awaits the client's terms and proof.
    Introduction {
        hello: Hello,
    },
    /// The client awaits the listener's first byte.
    Answer {
        hello: Hello,
        said: [u8; TERMS_LEN],
    },
    /// The client awaits the listener's terms and proof.
    Welcome {
        hello: Hello,
        said: [u8; TERMS_LEN],
    },
}

/// What is to be done next.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// To be sent.
    pub(super) reply: Vec<u8>,
    /// The other end's terms, once the handshake is over.
    pub(super) theirs: Option<Terms>,
}

/// A handshake that has failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// To be sent, so that the other end learns why.
    pub(super) reply: Vec<u8>,
    pub(super) error: ConnectionError,
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let reply = Vec::new();
        Self { reply, error }
    }
}

/// What a listener sends to whoever took too long, and to whoever had to make room.
pub(super) const TOO_SLOW_REPLY: [u8; 1] = [TOO_SLOW];
pub(super) const CROWDED_REPLY: [u8; 1] = [CROWDED];

impl Handshake {
    /// The handshake, and what is to be sent first.
    pub(super) fn begin(role: Role, key: &Key) -> Result<(Self, Hello), Error> {
        let mut hello = [0; HELLO_LEN];
        hello[..8].copy_from_slice(&MAGIC);
        hello[8..10].copy_from_slice(&VERSION.to_le_bytes());
        hello[10] = role as u8;
        hello[11] = DIALECT;
        hello[16..].copy_from_slice(&random::<NONCE_LEN>()?);
        let this = Self {
            role,
            key: key.clone(),
            own_hello: hello,
            stage: Stage::Hello,
            inbox: Vec::with_capacity(INTRODUCTION_LEN),
        };
        Ok((this, hello))
    }

    /// How many bytes are to be read next, at the most.
    pub(super) fn n_awaited(&self) -> usize {
        let len = match self.stage {
            Stage::Hello => HELLO_LEN,
            Stage::Introduction { .. } | Stage::Welcome { .. } => INTRODUCTION_LEN,
            Stage::Answer { .. } => 1,
        };
        len - self.inbox.len()
    }

    /// Takes in what has come, [`n_awaited`](Self::n_awaited) bytes at the most. `ours` is what this end says about itself.
    pub(super) fn take(&mut self, bytes: &[u8], ours: &Terms) -> Result<Step, Failure> {
        debug_assert!(bytes.len() <= self.n_awaited());
        self.inbox.extend_from_slice(bytes);
        if matches!(self.stage, Stage::Hello)
            && !self.inbox.starts_with(&MAGIC[..self.inbox.len().min(8)])
        {
            let message = "the other end is no `procession` program: it does not begin as one";
            return Err(ConnectionError::protocol(message).into());
        }
        if self.n_awaited() > 0 {
            return Ok(Step::default());
        }
        match self.stage {
            Stage::Hello => self.take_hello(ours),
            Stage::Introduction { hello } => self.take_introduction(&hello, ours),
            Stage::Answer { hello, said } => self.take_answer(hello, said),
            Stage::Welcome { hello, said } => self.take_welcome(&hello, &said, ours),
        }
    }

    fn take_hello(&mut self, ours: &Terms) -> Result<Step, Failure> {
        let hello: Hello = self.taken();
        let theirs = u16::from_le_bytes([hello[8], hello[9]]);
        if theirs != VERSION {
            let ours = VERSION;
            return Err(ConnectionError::WrongVersion { ours, theirs }.into());
        }
        if hello[11] != DIALECT {
            let message = "the other end is of a machine whose words have another size or order";
            return Err(ConnectionError::protocol(message).into());
        }
        match (self.role, hello[10]) {
            (Role::Listener, role) if role == Role::Client as u8 => {
                self.stage = Stage::Introduction { hello };
                Ok(Step::default())
            }
            (Role::Client, role) if role == Role::Listener as u8 => {
                let said = ours.to_bytes();
                let proof = self
                    .key
                    .prove(&[Role::Client.label(), &self.own_hello, &hello, &said]);
                self.stage = Stage::Answer { hello, said };
                let reply = [&said[..], &proof].concat();
                Ok(Step {
                    reply,
                    theirs: None,
                })
            }
            _ => {
                let message = "both ends of the connection are listeners, or both are clients";
                Err(ConnectionError::protocol(message).into())
            }
        }
    }

    fn take_introduction(&mut self, hello: &Hello, ours: &Terms) -> Result<Step, Failure> {
        let (said, proof) = self.taken_introduction();
        if !self.key.verifies(
            &[Role::Client.label(), hello, &self.own_hello, &said],
            &proof,
        ) {
            let reply = vec![WRONG_KEY];
            let error = ConnectionError::WrongKey;
            return Err(Failure { reply, error });
        }
        let own = ours.to_bytes();
        let proof = self
            .key
            .prove(&[Role::Listener.label(), hello, &self.own_hello, &said, &own]);
        let reply = [&[WELCOME][..], &own, &proof].concat();
        let theirs = Terms::from_bytes(&said);
        match ours.agree_with(&theirs) {
            Ok(()) => Ok(Step {
                reply,
                theirs: Some(theirs),
            }),
            // The client finds the same when it reads the answer.
            Err(error) => Err(Failure { reply, error }),
        }
    }

    fn take_answer(&mut self, hello: Hello, said: [u8; TERMS_LEN]) -> Result<Step, Failure> {
        let [answer] = self.taken();
        let message = match answer {
            WELCOME => {
                self.stage = Stage::Welcome { hello, said };
                return Ok(Step::default());
            }
            WRONG_KEY => return Err(ConnectionError::WrongKey.into()),
            TOO_SLOW => "the listener gave up: the handshake took longer than it gives",
            CROWDED => "the listener gave up: too many others are in their handshakes",
            _ => "the listener's answer is none that there is",
        };
        Err(ConnectionError::protocol(message).into())
    }

    fn take_welcome(&mut self, hello: &Hello, said: &[u8], ours: &Terms) -> Result<Step, Failure> {
        let (own, proof) = self.taken_introduction();
        let pieces = [Role::Listener.label(), &self.own_hello, hello, said, &own];
        if !self.key.verifies(&pieces, &proof) {
            return Err(ConnectionError::WrongKey.into());
        }
        let theirs = Terms::from_bytes(&own);
        ours.agree_with(&theirs)?;
        let reply = Vec::new();
        Ok(Step {
            reply,
            theirs: Some(theirs),
        })
    }

    /// The step that has come, all of it.
    fn taken<const N: usize>(&mut self) -> [u8; N] {
        let step = std::array::from_fn(|index| self.inbox[index]);
        self.inbox.clear();
        step
    }

    fn taken_introduction(&mut self) -> ([u8; TERMS_LEN], [u8; MAC_LEN]) {
        let step: [u8; INTRODUCTION_LEN] = self.taken();
        let terms = std::array::from_fn(|index| step[index]);
        let proof = std::array::from_fn(|index| step[TERMS_LEN + index]);
        (terms, proof)
    }
}
