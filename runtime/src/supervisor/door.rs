//! Asking the registry: three questions that every process of the family may put at the door.
//!
//! A question travels with one end of a fresh socket, on which the answer comes; so any number of processes and
//! threads share one door, and a supervisor that dies with a question unanswered closes that socket, which is an
//! answer too.

use std::io;

use super::family::Family;
use crate::sys::{Channel, Fd};

const N_WORDS: usize = 3;

/// Bytes of a question.
pub(super) const QUESTION_LEN: usize = N_WORDS * 8;

/// What can be asked. A *tag* stands for whoever, or whatever, needs the memory to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Keep this memory, whose descriptor is beside the question, under its id for this tag.
    Hold { id: u64, tag: u64 },
    /// Give me the memory with this id; a tag that is not 0 needs it no longer.
    Want { id: u64, tag: u64 },
    /// This tag needs it no longer; with id 0, nothing any longer. Not answered.
    LetGo { id: u64, tag: u64 },
}

impl Question {
    pub(super) fn to_bytes(self) -> [u8; QUESTION_LEN] {
        let words: [u64; N_WORDS] = match self {
            Self::Hold { id, tag } => [1, id, tag],
            Self::Want { id, tag } => [2, id, tag],
            Self::LetGo { id, tag } => [3, id, tag],
        };
        bytemuck::cast(words)
    }

    /// `None` for words that are no question.
    pub(super) fn from_bytes(bytes: &[u8; QUESTION_LEN]) -> Option<Self> {
        let [what, id, tag]: [u64; N_WORDS] = bytemuck::pod_read_unaligned(bytes);
        Some(match what {
            1 => Self::Hold { id, tag },
            2 => Self::Want { id, tag },
            3 => Self::LetGo { id, tag },
            _ => return None,
        })
    }
}

/// Has the registry keep the memory behind `fd` for `tag`.
pub(crate) fn hold(id: u64, tag: u64, fd: &Fd) -> io::Result<()> {
    ask(Question::Hold { id, tag }, Some(fd)).map(drop)
}

/// The memory with this id, which `tag` needs no longer.
pub(crate) fn want(id: u64, tag: u64) -> io::Result<Fd> {
    let mut fds = ask(Question::Want { id, tag }, None)?;
    fds.pop()
        .ok_or_else(|| io::Error::other(super::SUPERVISOR_GONE))
}

/// `tag` needs the memory with this id no longer, or nothing any longer where the id is 0.
pub(crate) fn let_go(id: u64, tag: u64) {
    // Where nobody is behind the door, nothing is kept either.
    if let Ok(family) = Family::get()
        && let Some(door) = family.latest_door()
    {
        let _ = door.send(&Question::LetGo { id, tag }.to_bytes(), &[]);
    }
}

fn ask(question: Question, fd: Option<&Fd>) -> io::Result<Vec<Fd>> {
    let family = Family::get().map_err(io::Error::other)?;
    let door = family.door()?;
    let (mine, theirs) = Channel::pair()?;
    let beside: Vec<&Fd> = [theirs.fd()].into_iter().chain(fd).collect();
    door.send(&question.to_bytes(), &beside)?;
    drop(theirs);
    let mut errno = 0_u64;
    let answer = mine.recv(bytemuck::bytes_of_mut(&mut errno))?;
    match (answer.len, errno) {
        (0, _) => Err(io::Error::other(
            "the supervisor process is gone, or has no descriptor left to take or give shared memory",
        )),
        (_, 0) => Ok(answer.fds),
        (_, errno) => Err(io::Error::from_raw_os_error(errno as i32)),
    }
}
