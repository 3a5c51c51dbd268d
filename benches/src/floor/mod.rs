//! What `fork` and shared memory give by hand: the floor under every library.
//!
//! Responsible for the same works as `procession` does, with nothing around them: no panics, no restarts, no codec, no
//! checks of what another process wrote. No library can be this; the distance to it is the price of being one.
//!
//! # Safety
//!
//! All `unsafe` of the bench is in this folder. A child is forked from a program that may have threads, so until it ends by
//! `_exit` it does nothing but arithmetic, copying and system calls on memory that was there before: no allocation, no lock, no
//! destructor. What both processes touch at any time is atomics ([`memory::Shared`]). Plain bytes ([`memory::SharedBytes`]) change
//! hands: the parent touches them before it rings for a request and after it was rung for the answer, the child in between. The
//! three files here that move such bytes each keep to that in one loop.

mod bell;
mod counter;
mod echo;
mod memory;
mod ping_pong;
mod process;
mod sums;

pub(crate) use bell::Patience;
pub(crate) use counter::counted_by_two;
pub(crate) use echo::Echo;
pub(crate) use ping_pong::PingPong;
pub(crate) use process::{fork_and_wait, square_in_a_fork};
pub(crate) use sums::Sums;
