//! The handshake alone, its bytes in a test's hands.

use super::super::handshake::{Handshake, Role, VERSION};
use super::super::key::Key;
use super::super::terms::Terms;
use super::*;

/// What each end made of it: the other's limit, or why not.
type Outcome = Result<u64, ConnectionError>;

/// One end, with what came for it and what it says in reply.
struct End {
    handshake: Handshake,
    terms: Terms,
    outcome: Option<Outcome>,
}

impl End {
    fn new(role: Role, key: &[u8], terms: Terms) -> (Self, Vec<u8>) {
        let (handshake, hello) = Handshake::begin(role, &Key::new(key).unwrap()).unwrap();
        let this = Self {
            handshake,
            terms,
            outcome: None,
        };
        (this, hello.to_vec())
    }

    /// Takes bytes in pieces of `piece` bytes at the most; gives what it says.
    fn hear(&mut self, mut bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut said = Vec::new();
        while self.outcome.is_none() && !bytes.is_empty() {
            let n = self.handshake.n_awaited().min(bytes.len()).min(piece);
            let (now, later) = bytes.split_at(n);
            bytes = later;
            match self.handshake.take(now, &self.terms) {
                Ok(step) => {
                    said.extend(step.reply);
                    self.outcome = step.theirs.map(|terms| Ok(terms.message_limit));
                }
                Err(failure) => {
                    said.extend(failure.reply);
                    self.outcome = Some(Err(failure.error));
                }
            }
        }
        said
    }
}

/// Leads a handshake to its end, where `tamper` changes what each end says: `(is_client, its bytes so far, bytes)`.
fn shake(
    keys: [&[u8]; 2],
    piece: usize,
    mut tamper: impl FnMut(bool, usize, &mut Vec<u8>),
) -> [Option<Outcome>; 2] {
    let (mut client, mut from_client) = End::new(Role::Client, keys[0], Terms::of::<u8, u16>(1));
    let (mut listener, mut from_listener) =
        End::new(Role::Listener, keys[1], Terms::of::<u16, u8>(2));
    let (mut n_client, mut n_listener) = (0, 0);
    while !(from_client.is_empty() && from_listener.is_empty()) {
        tamper(true, n_client, &mut from_client);
        tamper(false, n_listener, &mut from_listener);
        n_client += from_client.len();
        n_listener += from_listener.len();
        let reply = client.hear(&from_listener, piece);
        from_listener = listener.hear(&from_client, piece);
        from_client = reply;
    }
    [client.outcome, listener.outcome]
}

#[test]
fn honest_ends_agree_and_learn_each_others_limits_however_the_bytes_are_cut() {
    for piece in [1, 2, 3, 47, 48, 1000] {
        let outcomes = shake([KEY, KEY], piece, |_, _, _| ());
        assert_eq!(outcomes, [Some(Ok(2)), Some(Ok(1))]);
    }
}

#[test]
fn another_key_is_refused_and_both_ends_are_told() {
    let wrong = || Some(Err(ConnectionError::WrongKey));
    assert_eq!(
        shake([KEY, b"other"], 1000, |_, _, _| ()),
        [wrong(), wrong()]
    );
}

/// How many bytes each end says in all.
fn lengths() -> [usize; 2] {
    let mut lengths = [0; 2];
    shake([KEY, KEY], 1000, |is_client, n, bytes| {
        lengths[usize::from(!is_client)] = n + bytes.len()
    });
    lengths
}

#[test]
fn no_bit_can_be_flipped_on_the_way() {
    for (index, n_bytes) in lengths().into_iter().enumerate() {
        for bit in 0..n_bytes * 8 {
            let outcomes = shake([KEY, KEY], 1000, |is_client, n, bytes| {
                let at = (bit / 8).checked_sub(n);
                if is_client == (index == 0)
                    && let Some(byte) = at.and_then(|at| bytes.get_mut(at))
                {
                    *byte ^= 1 << (bit % 8);
                }
            });
            // The listener may have finished when its own last words are damaged; the client has not then.
            let whole = outcomes
                .iter()
                .filter(|outcome| matches!(outcome, Some(Ok(_))));
            let n_whole = whole.count();
            let is_answer = index == 1 && bit / 8 >= 48;
            assert!(
                n_whole == 0 || is_answer && n_whole == 1,
                "{index} {bit} {outcomes:?}"
            );
            assert!(!matches!(outcomes[0], Some(Ok(_))), "{index} {bit}");
        }
    }
}

#[test]
fn a_version_of_another_day_is_told_as_such() {
    let outcomes = shake([KEY, KEY], 1000, |is_client, n, bytes| {
        if is_client && n == 0 {
            bytes[8..10].copy_from_slice(&9_u16.to_le_bytes());
        }
    });
    let (ours, theirs) = (VERSION, 9);
    let wrong = ConnectionError::WrongVersion { ours, theirs };
    assert_eq!(
        wrong.to_string(),
        "the other end speaks version 9 of the connection's format, this one version 1"
    );
    assert_eq!(outcomes[1], Some(Err(wrong)));
}

/// Each of the two could otherwise have the other make the proof that it lacks.
#[test]
fn what_an_end_says_played_back_to_it_proves_nothing() {
    for role in [Role::Client, Role::Listener] {
        let (mut victim, hello) = End::new(role, KEY, Terms::of::<u8, u8>(1));
        victim.hear(&hello, 1000);
        assert!(matches!(
            victim.outcome,
            Some(Err(ConnectionError::Protocol { .. }))
        ));
    }
    // Also with the role in the greeting mended.
    let (mut client, mut hello) = End::new(Role::Client, KEY, Terms::of::<u8, u8>(1));
    hello[10] = 2;
    let introduction = client.hear(&hello, 1000);
    client.hear(&[&[0][..], &introduction].concat(), 1000);
    assert_eq!(client.outcome, Some(Err(ConnectionError::WrongKey)));
}

#[test]
fn a_handshake_that_was_recorded_opens_nothing() {
    let mut record = Vec::new();
    shake([KEY, KEY], 1000, |is_client, _, bytes| {
        if is_client {
            record.extend_from_slice(bytes);
        }
    });
    let (mut listener, _) = End::new(Role::Listener, KEY, Terms::of::<u16, u8>(2));
    let said = listener.hear(&record, 1000);
    assert_eq!(listener.outcome, Some(Err(ConnectionError::WrongKey)));
    assert_eq!(said.len(), 1, "it proves nothing in return");
}
