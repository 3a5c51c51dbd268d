//! How many posts are dormant: their worker had nothing to do for so long that it retired, and none has come since.
//!
//! Who publishes a task and finds more tasks waiting than workers asleep takes one of them, and has the supervisor fill a post.
//! So a crew gets no more requests than it has dormant posts, whatever is published before the first of them has a worker.
//!
//! Not responsible for which posts these are: their supervisor keeps that to itself, and says the number anew whenever it
//! changes. Too large a number costs a request in vain. One that a worker gone mad has made too small is put right by the
//! program's audit, which asks for a worker whenever it finds that a task waits.
//!
//! No task waits while posts are dormant, whatever the workers at the others do:
//! - Who sleeps takes no task before it says that it does not sleep any more, passes a sequentially consistent fence, and looks
//!   ([`Board::sleep_worker_counted`](super::Board::sleep_worker_counted)). So each that is seen to sleep by who has published
//!   looks afterwards. Who spins may just have taken a task, and is not counted.
//! - A worker that retires, leaves or dies is buried: the supervisor says the number, passes such a fence, and looks for tasks; who
//!   publishes does so, passes such a fence, and looks here. One of them sees the other.

use super::atomic::{AtomicU32, Ordering, fence};

#[repr(transparent)]
#[derive(Debug, Default)]
pub(crate) struct Dormant(AtomicU32);

impl Dormant {
    /// Supervisor: there are so many, and tasks are looked for next.
    pub(crate) fn say(&self, n: u32) {
        self.0.store(n, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Program, behind the fence that follows a task: whether a worker is to be asked for.
    pub(crate) fn take_one(&self) -> bool {
        let less_one = |n: u32| n.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less_one)
            .is_ok()
    }
}
