//! A queue's ring, its two positions and what it gives back.
//!
//! The ring, its positions and its memory are the crate's own code. Written again is what they lie in: the units of the
//! ring ([`bytes`]), and the two sides with a lock that is a word with its holder ([`layout`]); the lock of the
//! crate has models of its own.

mod bytes;
mod error;
mod layout;

#[path = "../../../../runtime/src/queue/memory.rs"]
mod memory;
#[expect(dead_code, reason = "the original; the models use a part of it")]
#[path = "../../../../runtime/src/queue/message.rs"]
mod message;
#[path = "../../../../runtime/src/queue/position.rs"]
mod position;
#[expect(dead_code, reason = "the original; the models use a part of it")]
#[path = "../../../../runtime/src/queue/ring.rs"]
mod ring;

mod deaths;
mod messages;
