//! The order of the tasks: a ring of names (row and generation) that workers take from the front.
//!
//! One process appends (the program to the queue of each priority, the supervisor to the queue of retries); any number of
//! workers take. The ring holds no ownership: a worker that reads a name has nothing until it has changed
//! that task's state word, so a worker may die at any instruction here and nothing is lost. `head` only
//! saves looking at names that are known to be taken; it may lag, never run ahead: it moves past a name
//! only by a compare-exchange made after that name's task was seen to be claimed or gone.
//!
//! The ring must have more places than there can be names not yet passed by `head`: rows of the task table plus
//! workers in the middle of a claim. [`super::Layout`] sees to that, and the program sees to it that a row whose task
//! was withdrawn gets no new tenant, and so no second name, before `head` has passed the first.

use super::atomic::{AtomicU64, Ordering};
use super::task::TaskId;

/// The two ends of a ring, each on its own cache line.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct QueueEnds {
    head: Line<AtomicU64>,
    tail: Line<AtomicU64>,
}

/// A value alone on its cache line (and its neighbour, which the hardware fetches with it).
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct Line<T>(pub(crate) T);

/// A ring in shared memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue<'board> {
    pub(crate) ends: &'board QueueEnds,
    /// A power of two of them.
    pub(crate) names: &'board [AtomicU64],
}

impl Queue<'_> {
    fn name(&self, position: u64) -> &AtomicU64 {
        &self.names[position as usize & (self.names.len() - 1)]
    }

    /// The one producer: appends a task that has been published; gives the position of its name.
    pub(crate) fn append(&self, task: TaskId) -> u64 {
        // Relaxed: only this process writes the tail.
        let tail = self.ends.tail.0.load(Ordering::Relaxed);
        self.name(tail).store(task.to_word(), Ordering::Relaxed);
        // Release: pairs with the acquire of the tail in `take`, so the name is there.
        self.ends
            .tail
            .0
            .store(tail.wrapping_add(1), Ordering::Release);
        tail
    }

    /// The one producer: brings a `head` back that a worker gone mad has set beyond the tail.
    pub(crate) fn mend(&self) {
        let tail = self.ends.tail.0.load(Ordering::Relaxed);
        if self.ends.head.0.load(Ordering::Relaxed) > tail {
            self.ends.head.0.store(tail, Ordering::Release);
        }
    }

    /// Whether no worker will look at this position again.
    pub(crate) fn has_passed(&self, position: u64) -> bool {
        self.ends.head.0.load(Ordering::Acquire) > position
    }

    /// A worker: offers names to `claim`, oldest first, until it takes one.
    pub(crate) fn take(&self, mut claim: impl FnMut(TaskId) -> bool) -> Option<TaskId> {
        loop {
            let head = self.ends.head.0.load(Ordering::Acquire);
            let tail = self.ends.tail.0.load(Ordering::Acquire);
            if head >= tail {
                return None;
            }
            let n_names = self.names.len() as u64;
            if tail - head > n_names {
                // This head is out of date, or a worker gone mad has written one of the ends: then to go from one to the
                // other would take for ever. Whatever name there is lies in the last round.
                let _ = self.ends.head.0.compare_exchange(
                    head,
                    tail - n_names,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                continue;
            }
            let task = TaskId::from_word(self.name(head).load(Ordering::Relaxed));
            let taken = claim(task);
            // Failure means that another worker has passed this name already.
            let _ = self.ends.head.0.compare_exchange(
                head,
                head + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if taken {
                return Some(task);
            }
        }
    }

    /// Whether there may be a name that nobody has taken.
    pub(crate) fn looks_empty(&self) -> bool {
        self.looks_long() == 0
    }

    /// How many names there may be that nobody has taken.
    pub(crate) fn looks_long(&self) -> u64 {
        let head = self.ends.head.0.load(Ordering::Acquire);
        let tail = self.ends.tail.0.load(Ordering::Acquire);
        tail.saturating_sub(head)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::super::task::TaskIndex;
    use super::*;

    fn task(index: u32) -> TaskId {
        TaskId {
            index: TaskIndex(index),
            generation: 5,
        }
    }

    #[test]
    fn a_tail_that_cannot_be_is_walked_to_in_one_round() {
        let ends = QueueEnds::default();
        let names: Vec<_> = (0..4).map(|_| AtomicU64::new(0)).collect();
        let queue = Queue {
            ends: &ends,
            names: &names,
        };
        queue.append(task(7));
        for tail in [5, 1 << 40, u64::MAX] {
            ends.tail.0.store(tail, Ordering::Relaxed);
            let mut n_looks = 0;
            let found = queue.take(|name| {
                n_looks += 1;
                name == task(7)
            });
            assert_eq!(found, Some(task(7)), "the name is still there");
            assert!(n_looks <= 4);
            assert_eq!(queue.take(|_| false), None);
        }
    }

    #[test]
    fn names_come_in_order_round_the_ring() {
        let ends = QueueEnds::default();
        let names: Vec<_> = (0..4).map(|_| AtomicU64::new(0)).collect();
        let queue = Queue {
            ends: &ends,
            names: &names,
        };
        for index in 0..10 {
            queue.append(task(index));
            assert_eq!(queue.take(|_| true), Some(task(index)));
        }
        assert!(queue.looks_empty());
    }

    #[test]
    fn names_already_claimed_are_passed_over() {
        let ends = QueueEnds::default();
        let names: Vec<_> = (0..8).map(|_| AtomicU64::new(0)).collect();
        let queue = Queue {
            ends: &ends,
            names: &names,
        };
        for index in 0..3 {
            queue.append(task(index));
        }
        assert_eq!(queue.take(|task| task.index.0 == 2), Some(task(2)));
        assert_eq!(queue.take(|_| true), None);
    }

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec(any::<bool>(), 1..300)) {
            let ends = QueueEnds::default();
            let names: Vec<_> = (0..8).map(|_| AtomicU64::new(0)).collect();
            let queue = Queue { ends: &ends, names: &names };
            let (mut model, mut next) = (VecDeque::new(), 0);
            for is_append in steps {
                if is_append && model.len() < names.len() {
                    prop_assert_eq!(queue.append(task(next)), u64::from(next));
                    model.push_back(next);
                    next += 1;
                } else {
                    prop_assert_eq!(queue.looks_empty(), model.is_empty());
                    let taken = queue.take(|_| true);
                    prop_assert_eq!(taken, model.pop_front().map(task));
                    prop_assert!(taken.is_none_or(|task| queue.has_passed(u64::from(task.index.0))));
                }
            }
        }
    }
}
