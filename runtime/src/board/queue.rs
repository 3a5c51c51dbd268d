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

impl<'board> Queue<'board> {
    pub(crate) fn taker(self) -> Taker<'board> {
        Taker {
            queue: self,
            seen_tail: 0,
        }
    }

    fn name(&self, position: u64) -> &AtomicU64 {
        &self.names[position as usize & (self.names.len() - 1)]
    }

    /// The one producer: appends a task that has been published; gives the position of its name.
    pub(crate) fn append(&self, task: TaskId) -> u64 {
        // Relaxed: only this process writes the tail.
        let tail = self.ends.tail.0.load(Ordering::Relaxed);
        self.append_at(tail, task);
        tail
    }

    /// The one producer, where it remembers by itself how many it has appended.
    pub(crate) fn append_at(&self, tail: u64, task: TaskId) {
        self.name(tail).store(task.to_word(), Ordering::Relaxed);
        // Release: pairs with the acquire of the tail in `take`, so the name is there.
        self.ends
            .tail
            .0
            .store(tail.wrapping_add(1), Ordering::Release);
    }

    /// The one producer: brings a `head` back that a worker gone mad has set beyond the tail.
    pub(crate) fn mend(&self, tail: u64) {
        if self.ends.head.0.load(Ordering::Relaxed) > tail {
            self.ends.head.0.store(tail, Ordering::Release);
        }
    }

    /// Whether no worker will look at this position again.
    pub(crate) fn has_passed(&self, position: u64) -> bool {
        self.ends.head.0.load(Ordering::Acquire) > position
    }

    /// Whether this name is among those that no worker has passed.
    pub(crate) fn holds(&self, task: TaskId) -> bool {
        let head = self.ends.head.0.load(Ordering::Acquire);
        let n_waiting = self.looks_long().min(self.names.len() as u64);
        (0..n_waiting).any(|place| {
            let name = self.name(head.wrapping_add(place));
            name.load(Ordering::Relaxed) == task.to_word()
        })
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

/// A worker's view of a ring: it remembers how far the tail was, so that it asks for the tail's line, which the producer
/// writes with each name, only when it has come that far.
#[derive(Debug)]
pub(crate) struct Taker<'board> {
    queue: Queue<'board>,
    seen_tail: u64,
}

impl Taker<'_> {
    /// Offers names to `claim`, oldest first, until it takes one. `None` only after a look at the tail itself.
    pub(crate) fn take(&mut self, mut claim: impl FnMut(TaskId) -> bool) -> Option<TaskId> {
        let QueueEnds { head: ends, tail } = self.queue.ends;
        loop {
            let head = ends.0.load(Ordering::Acquire);
            let n_names = self.queue.names.len() as u64;
            if head >= self.seen_tail || self.seen_tail - head > n_names {
                self.seen_tail = tail.0.load(Ordering::Acquire);
            }
            if head >= self.seen_tail {
                return None;
            }
            if self.seen_tail - head > n_names {
                // This head is out of date, or a worker gone mad has written one of the ends: then to go from one to the
                // other would take for ever. Whatever name there is lies in the last round.
                let first = self.seen_tail - n_names;
                let _ = ends
                    .0
                    .compare_exchange(head, first, Ordering::AcqRel, Ordering::Relaxed);
                continue;
            }
            let task = TaskId::from_word(self.queue.name(head).load(Ordering::Relaxed));
            let taken = claim(task);
            if !taken {
                // Another worker has it. Or the tail was once seen where a worker gone mad had set it: no name is passed
                // that is yet to come.
                self.seen_tail = tail.0.load(Ordering::Acquire);
                if head >= self.seen_tail {
                    continue;
                }
            }
            // Failure means that another worker has passed this name already.
            let _ = ends
                .0
                .compare_exchange(head, head + 1, Ordering::AcqRel, Ordering::Relaxed);
            if taken {
                return Some(task);
            }
        }
    }

    /// The name that comes so many places behind the next one, as far as is known.
    pub(crate) fn upcoming(&self, n_places: u64) -> Option<TaskId> {
        let head = self.queue.ends.head.0.load(Ordering::Relaxed);
        let position = head.saturating_add(n_places);
        (position < self.seen_tail)
            .then(|| TaskId::from_word(self.queue.name(position).load(Ordering::Relaxed)))
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

    /// What a queue is in.
    struct Ring {
        ends: QueueEnds,
        names: Vec<AtomicU64>,
    }

    impl Ring {
        fn new(n_names: usize) -> Self {
            Self {
                ends: QueueEnds::default(),
                names: (0..n_names).map(|_| AtomicU64::new(0)).collect(),
            }
        }

        fn queue(&self) -> Queue<'_> {
            Queue {
                ends: &self.ends,
                names: &self.names,
            }
        }
    }

    #[test]
    fn a_tail_that_cannot_be_is_walked_to_in_one_round() {
        let ring = Ring::new(4);
        let queue = ring.queue();
        queue.append(task(7));
        for tail in [5, 1 << 40, u64::MAX] {
            queue.ends.tail.0.store(tail, Ordering::Relaxed);
            let mut n_looks = 0;
            let found = queue.taker().take(|name| {
                n_looks += 1;
                name == task(7)
            });
            assert_eq!(found, Some(task(7)), "the name is still there");
            assert!(n_looks <= 4);
            assert_eq!(queue.taker().take(|_| false), None);
        }
    }

    /// A worker gone mad wrote a tail, another one has seen it, and the producer has put it right since.
    #[test]
    fn no_name_is_passed_that_is_yet_to_come() {
        let ring = Ring::new(8);
        let queue = ring.queue();
        let mut taker = queue.taker();
        queue.append(task(0));
        queue.ends.tail.0.store(5, Ordering::Relaxed);
        assert_eq!(taker.take(|_| true), Some(task(0)));
        queue.ends.tail.0.store(1, Ordering::Release);
        assert_eq!(taker.take(|_| false), None);
        queue.append_at(1, task(1));
        assert_eq!(taker.take(|name| name == task(1)), Some(task(1)));
    }

    #[test]
    fn whatever_the_head_says_a_look_ahead_ends() {
        let ring = Ring::new(4);
        let queue = ring.queue();
        queue.ends.head.0.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(queue.taker().upcoming(2), None);
    }

    #[test]
    fn a_taker_looks_at_the_tail_once_it_has_come_where_that_was() {
        let ring = Ring::new(4);
        let queue = ring.queue();
        let mut taker = queue.taker();
        for index in 0..3 {
            queue.append(task(index));
        }
        assert_eq!(taker.upcoming(0), None, "it has not looked yet");
        assert_eq!(taker.take(|_| true), Some(task(0)));
        queue.append(task(3));
        assert_eq!(taker.upcoming(1), Some(task(2)));
        assert_eq!(taker.upcoming(2), None, "appended since it looked");
        for index in 1..4 {
            assert_eq!(taker.take(|_| true), Some(task(index)));
        }
        assert_eq!(taker.take(|_| true), None);
    }

    #[test]
    fn a_taker_that_saw_a_tail_that_cannot_be_looks_again() {
        let ring = Ring::new(4);
        let queue = ring.queue();
        let mut taker = queue.taker();
        queue.append(task(7));
        queue.ends.tail.0.store(1 << 40, Ordering::Relaxed);
        assert_eq!(taker.take(|name| name == task(7)), Some(task(7)));
        // As the program mends it, which remembers how many names it has appended.
        queue.mend(1);
        queue.append_at(1, task(8));
        assert_eq!(taker.take(|_| true), Some(task(8)));
        assert_eq!(taker.take(|_| true), None);
    }

    #[test]
    fn names_come_in_order_round_the_ring() {
        let ring = Ring::new(4);
        let queue = ring.queue();
        for index in 0..10 {
            queue.append(task(index));
            assert_eq!(queue.taker().take(|_| true), Some(task(index)));
        }
        assert!(queue.looks_empty());
    }

    #[test]
    fn names_already_claimed_are_passed_over() {
        let ring = Ring::new(8);
        let queue = ring.queue();
        for index in 0..3 {
            queue.append(task(index));
        }
        assert_eq!(queue.taker().take(|task| task.index.0 == 2), Some(task(2)));
        assert_eq!(queue.taker().take(|_| true), None);
    }

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec(any::<bool>(), 1..300)) {
            let ring = Ring::new(8);
            let queue = ring.queue();
            let (mut model, mut next) = (VecDeque::new(), 0);
            for is_append in steps {
                if is_append && model.len() < queue.names.len() {
                    prop_assert_eq!(queue.append(task(next)), u64::from(next));
                    model.push_back(next);
                    next += 1;
                } else {
                    prop_assert_eq!(queue.looks_empty(), model.is_empty());
                    let taken = queue.taker().take(|_| true);
                    prop_assert_eq!(taken, model.pop_front().map(task));
                    prop_assert!(taken.is_none_or(|task| queue.has_passed(u64::from(task.index.0))));
                }
            }
        }
    }
}
