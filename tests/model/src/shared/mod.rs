//! The words of shared values and divided arrays.
//!
//! The life word, the claims and the divisions are the crate's own code. Written again is what they lie in: the
//! block ([`block`]) and the state of an array ([`layout`]).

mod block;
mod layout;

#[path = "../../../../runtime/src/shared/claim.rs"]
mod claim;
#[expect(dead_code, reason = "the original; the models use a part of it")]
#[path = "../../../../runtime/src/shared/division.rs"]
mod division;
#[path = "../../../../runtime/src/shared/life.rs"]
mod life;

pub(crate) use block::{Block, Contents, Label, Things};

mod chunks;
mod joins;
mod lives;
