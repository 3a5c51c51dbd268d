//! How many items go into one task.
//!
//! One item each until a first measurement is there, and after a death until the next one, then as many as fill about a millisecond by the measured
//! rate of the last items, fewer towards the end where the end is known, so that no worker is left alone with a long tail.
//! Until the first of them have been seen to take some time, or are long in coming back, no more workers are given tasks
//! than there are cores; and never more where items are so quick that further workers would only take turns with these.
//! Bounded in items, which bounds the room of a task, and in bytes, which keeps a task in the cache.

use std::time::Duration;

use crate::sys;

/// A task is to take so many nanoseconds.
const TARGET: f64 = 1e6;
/// Towards the end a task may take as little as this, and no less: handing it over costs some of it.
const SHORTEST: f64 = 5e4;
/// One worker keeps up with a caller that hands over tasks of less than so many nanoseconds: the caller needs about half of that
/// for each, and a second worker would take cache lines from both.
const HAND_OVER: f64 = 600.0;
/// How long the first tasks may be in coming back before their items are for all workers: longer than a sleeper takes to
/// wake.
const TRIAL: Duration = Duration::from_micros(200);
/// The same of tasks with items that were quick so far: longer than even the longest of them takes where the cores are busy.
const PATIENCE: Duration = Duration::from_millis(10);
/// Items quicker than this have waited for nothing, and printed nothing worth a flush after each of them.
const QUICK: f64 = 1e3;
/// Tasks for each worker to have on the board at a time: one that runs, one that waits, one that is being replaced.
const FEWEST: usize = 3;
const MAX_ITEMS: usize = 16 * 1024;
const MAX_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Chunking {
    fixed: Option<usize>,
    max_items: usize,
    pub(super) n_workers: usize,
    n_cores: u32,
    /// Nanoseconds that items took, and how many items: each task counts half as much as the next one.
    busy: f64,
    n_items: f64,
    bytes_per_result: f64,
    /// Nanoseconds of work to be seen before items are for more workers than there are cores.
    trial: f64,
}

/// How tasks are handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Tasks to have on the board at a time: enough that no worker waits for the caller, and so many of the shortest
    /// that the caller sleeps while half of them are worked off.
    pub(super) window: usize,
    n_to_a_ring: u64,
    /// How many workers are to be awake for a task at the most, if not all.
    pub(super) most_awake: Option<u32>,
    /// Whether items may print: what they print is then flushed one by one.
    pub(super) flush_each: bool,
}

impl Pace {
    /// Whether the caller is to hear of this task at once: of the shortest, once in half a window is enough.
    pub(super) fn rings(&self, number: u64) -> bool {
        number.is_multiple_of(self.n_to_a_ring)
    }
}

impl Chunking {
    /// `max_jobs`: what one worker does before it is replaced, 0 for no end.
    pub(super) fn new(fixed: Option<usize>, n_workers: usize, max_jobs: u64) -> Self {
        let max_jobs = usize::try_from(max_jobs).unwrap_or(usize::MAX);
        let max_items = if max_jobs == 0 {
            MAX_ITEMS
        } else {
            MAX_ITEMS.min(max_jobs)
        };
        let fixed = fixed.map(|n_items| n_items.min(crate::board::MAX_ITEMS));
        Self {
            fixed,
            max_items,
            n_workers,
            n_cores: sys::n_cores(),
            busy: 0.0,
            n_items: 0.0,
            bytes_per_result: 64.0,
            trial: SHORTEST,
        }
    }

    /// Items for the next task, each of so many bytes; `remaining` are known to follow.
    pub(super) fn next_len(&self, remaining: Option<usize>, item_size: usize) -> usize {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let Some(nanos) = self.nanos_per_item() else {
            return 1;
        };
        let full = (TARGET / nanos) as usize;
        let shortest = (SHORTEST / nanos) as usize;
        let fair = remaining.map_or(usize::MAX, |remaining| remaining / (2 * self.n_busy()));
        let fits = MAX_BYTES.div_ceil(item_size.max(1));
        full.min(fair.max(shortest))
            .clamp(1, self.max_items.min(fits))
    }

    /// How tasks are to be handed over, by what is known now.
    pub(super) fn pace(&self) -> Pace {
        const MOST: usize = 256;
        let n_busy = self.n_busy();
        let n_short = (SHORTEST / self.nanos_per_task()) as usize;
        let window = n_short.clamp(FEWEST, MOST) * n_busy;
        Pace {
            window,
            n_to_a_ring: 1 + (window - FEWEST * n_busy) as u64 / 2,
            most_awake: self.most_awake(),
            flush_each: !self.is_quick(),
        }
    }

    /// How long to wait for a task that is for few workers. If none comes back, its items may wait for something, or for one
    /// another, and are for all workers.
    pub(super) fn patience(&self) -> Option<Duration> {
        let patience = if self.is_trial() { TRIAL } else { PATIENCE };
        (self.n_busy() < self.n_workers).then_some(patience)
    }

    /// No task has come back for that long.
    pub(super) fn be_surprised(&mut self) {
        self.trial = 0.0;
        self.forget();
    }

    /// Whether little is known of the items yet: the first ones find cold caches.
    fn is_trial(&self) -> bool {
        self.trial > 0.0
    }

    /// Workers that can be at work at once: on items that wait for nothing no more than there are cores, and the rest
    /// would only take turns with them.
    fn n_busy(&self) -> usize {
        let most = self.most_awake().map_or(usize::MAX, |most| most as usize);
        self.n_workers.min(most)
    }

    fn most_awake(&self) -> Option<u32> {
        let is_for_few = self.is_quick() || self.is_trial();
        is_for_few.then(|| self.n_cores.min(self.n_that_keep_up()))
    }

    /// So many workers do tasks as fast as the caller hands them over.
    fn n_that_keep_up(&self) -> u32 {
        ((self.nanos_per_task() / HAND_OVER) as u32).saturating_add(1)
    }

    fn is_quick(&self) -> bool {
        self.nanos_per_item().is_some_and(|nanos| nanos <= QUICK)
    }

    /// Whether a task of so many bytes should take no further item.
    pub(super) fn is_full(&self, n_bytes: usize) -> bool {
        self.fixed.is_none() && n_bytes >= MAX_BYTES
    }

    /// Bytes to set aside for the results of so many items, where they have no fixed size.
    pub(super) fn heap_len(&self, n_items: usize) -> u64 {
        const MOST: f64 = 1024.0 * 1024.0;
        (n_items as f64 * self.bytes_per_result * 1.25).min(MOST) as u64
    }

    /// The longest that is to be expected.
    fn nanos_per_task(&self) -> f64 {
        self.nanos_per_item().unwrap_or(TARGET) * self.fixed.unwrap_or(MAX_ITEMS) as f64
    }

    /// `None` until the first measurement is there.
    fn nanos_per_item(&self) -> Option<f64> {
        (self.n_items > 0.0).then(|| (self.busy / self.n_items).max(0.1))
    }

    /// An item took its worker down. How long it ran nobody measured, and where one dies others may: in a task of many
    /// they would die one after another while the other workers have nothing to do.
    pub(super) fn forget(&mut self) {
        (self.busy, self.n_items) = (0.0, 0.0);
    }

    /// A task of so many items took so long and gave so many bytes; one that took no time was never begun.
    pub(super) fn learn(&mut self, n_items: usize, busy: Duration, result_bytes: usize) {
        if n_items == 0 || busy.is_zero() {
            return;
        }
        let (n_items, busy) = (n_items as f64, busy.as_nanos() as u64 as f64);
        self.trial -= busy;
        // Half new, half old, and by item: quick to follow, slow to be fooled by a few.
        self.busy = self.busy / 2.0 + busy;
        self.n_items = self.n_items / 2.0 + n_items;
        self.bytes_per_result =
            ((self.bytes_per_result + result_bytes as f64 / n_items) / 2.0).max(16.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_two_cores(fixed: Option<usize>, n_workers: usize, max_jobs: u64) -> Chunking {
        Chunking {
            n_cores: 2,
            ..Chunking::new(fixed, n_workers, max_jobs)
        }
    }

    #[test]
    fn tasks_grow_to_a_millisecond_and_shrink_towards_the_end() {
        let mut chunking = on_two_cores(None, 2, 0);
        assert_eq!(chunking.next_len(Some(1000), 8), 1);
        chunking.learn(1, Duration::from_micros(10), 8);
        assert_eq!(chunking.next_len(None, 8), 100);
        assert_eq!(chunking.next_len(Some(100), 8), 25);
        assert_eq!(
            chunking.next_len(Some(2), 8),
            5,
            "no shorter than is worth handing over"
        );
    }

    #[test]
    fn slow_items_go_one_by_one_and_a_fixed_size_is_kept() {
        let mut chunking = on_two_cores(None, 2, 0);
        chunking.learn(1, Duration::from_secs(1), 8);
        assert_eq!(chunking.next_len(Some(1000), 8), 1);
        let mut chunking = on_two_cores(Some(7), 2, 0);
        chunking.learn(7, Duration::from_nanos(7), 8);
        assert_eq!(chunking.next_len(Some(3), 8), 7);
    }

    #[test]
    fn a_task_of_many_items_says_more_than_one_of_few() {
        let mut chunking = on_two_cores(None, 2, 0);
        chunking.learn(1, Duration::from_micros(1), 8);
        chunking.learn(1000, Duration::from_micros(100), 8);
        assert!(chunking.next_len(None, 8) > 9900, "100 ns each, not 550");
    }

    #[test]
    fn a_task_holds_no_more_bytes_than_suit_the_cache() {
        let mut chunking = on_two_cores(None, 2, 0);
        chunking.learn(1, Duration::from_nanos(1), 8);
        assert_eq!(chunking.next_len(None, 1000), MAX_BYTES.div_ceil(1000));
        assert_eq!(chunking.next_len(None, 0), MAX_ITEMS);
    }

    #[test]
    fn many_tasks_are_on_the_board_only_where_they_are_short() {
        let window = |fixed, nanos| {
            let mut chunking = on_two_cores(fixed, 2, 0);
            chunking.be_surprised();
            chunking.learn(1, Duration::from_nanos(nanos), 8);
            chunking.pace().window
        };
        assert_eq!(window(Some(1), 1_000_000), 6);
        assert_eq!(window(Some(1), 5_000), 20);
        assert_eq!(window(Some(1), 100), 256, "one worker keeps up");
        assert_eq!(window(None, 5), 6, "tasks are as long as suits them");
    }

    #[test]
    fn a_crowd_of_workers_gets_quick_items_as_if_it_were_one_for_each_core() {
        let few = 3 * 2;
        let mut chunking = on_two_cores(None, 1000, 0);
        assert_eq!(chunking.pace().window, few, "nothing is known yet");
        chunking.be_surprised();
        assert_eq!(chunking.pace().window, 3000, "the first is long in coming");
        chunking.learn(1, Duration::from_millis(1), 8);
        assert_eq!(
            chunking.pace().window,
            3000,
            "they may be waiting for something"
        );
        for _ in 0..20 {
            chunking.learn(1000, Duration::from_nanos(1000), 8);
        }
        assert_eq!(chunking.pace().window, few);
    }

    #[test]
    fn no_more_workers_are_awake_than_keep_up_with_the_caller() {
        let most_awake = |nanos| {
            let mut chunking = on_two_cores(Some(1), 2, 0);
            assert_eq!(chunking.pace().most_awake, Some(2), "a trial");
            chunking.be_surprised();
            chunking.learn(1, Duration::from_nanos(nanos), 8);
            chunking.pace().most_awake
        };
        assert_eq!(most_awake(100), Some(1));
        assert_eq!(most_awake(900), Some(2));
        assert_eq!(most_awake(5_000), None, "they may wait for something");
    }

    #[test]
    fn the_largest_tasks_that_may_be_asked_for_keep_workers_awake() {
        for n_items in [crate::board::MAX_ITEMS, usize::MAX] {
            let chunking = on_two_cores(Some(n_items), 2, 0);
            assert_eq!(chunking.pace().most_awake, Some(2));
        }
    }

    #[test]
    fn the_caller_hears_of_every_task_but_the_shortest() {
        let n_rings = |nanos| {
            let mut chunking = on_two_cores(Some(1), 2, 0);
            chunking.be_surprised();
            chunking.learn(1, Duration::from_nanos(nanos), 8);
            (0..1024)
                .filter(|&number| chunking.pace().rings(number))
                .count()
        };
        assert_eq!(n_rings(20_000), 1024);
        assert_eq!(n_rings(5_000), 128, "twice in a window of 20");
        assert_eq!(n_rings(100), 9, "twice in a window");
    }

    #[test]
    fn items_go_one_by_one_while_nothing_is_known_of_them_and_after_a_death() {
        let mut chunking = on_two_cores(None, 2, 0);
        chunking.learn(1, Duration::ZERO, 0);
        assert_eq!(chunking.next_len(None, 8), 1, "it was cancelled");
        chunking.learn(1, Duration::from_micros(10), 8);
        assert_eq!(chunking.next_len(None, 8), 100);
        chunking.forget();
        assert_eq!(chunking.next_len(None, 8), 1);
        chunking.learn(1, Duration::from_micros(10), 8);
        assert_eq!(chunking.next_len(None, 8), 100);
    }

    #[test]
    fn a_task_is_never_more_than_a_worker_may_do() {
        let mut chunking = on_two_cores(None, 2, 10);
        chunking.learn(1, Duration::from_nanos(1), 8);
        assert_eq!(chunking.next_len(None, 8), 10);
    }
}
