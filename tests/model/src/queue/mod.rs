//! A queue's ring, its two positions, what it gives back, and who has got what.
//!
//! The ring, its positions, its memory and its takers are the crate's own code. Written again is what they lie in: the units of the
//! ring ([`bytes`]), and the two sides with a lock that is a word with its holder ([`layout`]); the lock of the
//! crate has models of its own.

#[path = "../../../../runtime/src/queue/awaited.rs"]
mod awaited;
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
#[path = "../../../../runtime/src/queue/ring.rs"]
mod ring;
#[path = "../../../../runtime/src/queue/takers.rs"]
mod takers;
#[path = "../../../../runtime/src/queue/tasks.rs"]
mod tasks;

mod deaths;
mod joins;
mod messages;
mod sleepers;
