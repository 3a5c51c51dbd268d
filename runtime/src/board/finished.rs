//! The chain of finished tasks: workers push rows, the program takes the whole chain.
//!
//! The links lie side by side, apart from the rows ([`super::Board::link`]), so that a long chain is walked in few cache lines.
//!
//! A push is one compare-exchange, so a worker killed at any instruction leaves a whole chain; at worst its
//! own row is `DONE` and not on it. The supervisor, who sees the death, then bumps `rescan` and the program
//! looks through its tasks once. The program takes all with one swap, so there is no pop to confuse (no ABA);
//! it walks at most as many links as there are rows, and every row it finds must be `DONE` in the generation
//! it remembers: a chain that a worker gone mad has bent costs a rescan and no more.

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::task::TaskIndex;

/// The head of the chain: row index plus one, 0 where it ends.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Finished {
    head: AtomicU64,
}

impl Finished {
    /// Worker (or supervisor): adds a row that is `DONE`; `next` is that row's link.
    pub(crate) fn push(&self, index: TaskIndex, next: &AtomicU32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            next.store(head as u32, Ordering::Relaxed);
            let new = u64::from(index.0) + 1;
            // Release: pairs with the acquire of `take_all`, so link, state and results are there.
            match self
                .head
                .compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is nothing to take.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed) == 0
    }

    /// Program: takes the chain and calls `visit` for each row, latest first; `link` finds a row's link, and is asked before
    /// the row in front of it is visited.
    /// False where the chain was bent, and only a rescan tells what is finished.
    pub(crate) fn take_all<'row>(
        &self,
        n_rows: u32,
        link: impl Fn(TaskIndex) -> Option<&'row AtomicU32>,
        mut visit: impl FnMut(TaskIndex),
    ) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut at = self.head.swap(0, Ordering::Acquire) as u32;
        let find = |at: u32| {
            at.checked_sub(1)
                .map(TaskIndex)
                .map(|index| (index, link(index)))
        };
        let mut next = find(at);
        for _ in 0..n_rows {
            let Some((index, link)) = next else {
                return true;
            };
            let Some(link) = link else {
                return false;
            };
            // Before the visit: once visited, the row may be pushed again.
            at = link.load(Ordering::Relaxed);
            next = find(at);
            visit(index);
        }
        at == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_that_was_pushed_is_taken_once() {
        let finished = Finished::default();
        let links: Vec<_> = (0..4).map(|_| AtomicU32::new(0)).collect();
        for row in [2, 0, 3] {
            finished.push(TaskIndex(row), &links[row as usize]);
        }
        let mut seen = Vec::new();
        let whole = finished.take_all(4, |row| links.get(row.0 as usize), |row| seen.push(row.0));
        assert!(whole);
        assert_eq!(seen, [3, 0, 2]);
        assert!(finished.take_all(
            4,
            |row| links.get(row.0 as usize),
            |_| panic!("taken twice")
        ));
    }

    #[test]
    fn a_bent_chain_ends_and_says_so() {
        let links: Vec<_> = (0..2).map(|_| AtomicU32::new(1)).collect();
        let finished = Finished {
            head: AtomicU64::new(1),
        };
        assert!(
            !finished.take_all(2, |row| links.get(row.0 as usize), |_| ()),
            "a ring"
        );
        let finished = Finished {
            head: AtomicU64::new(99),
        };
        assert!(
            !finished.take_all(2, |row| links.get(row.0 as usize), |_| ()),
            "a row that is none"
        );
    }

    proptest! {
        #[test]
        fn whatever_the_links_say_it_ends_and_visits_rows_only(
            head in prop_oneof![0_u64..12, any::<u64>()],
            links in prop::collection::vec(prop_oneof![0_u32..12, any::<u32>()], 1..10),
        ) {
            let links: Vec<_> = links.into_iter().map(AtomicU32::new).collect();
            let finished = Finished { head: AtomicU64::new(head) };
            let mut seen = Vec::new();
            let n_rows = links.len() as u32;
            let whole = finished.take_all(n_rows, |row| links.get(row.0 as usize), |row| seen.push(row.0));
            prop_assert!(seen.len() <= links.len());
            prop_assert!(seen.iter().all(|&row| row < n_rows));
            // What counts as whole visits no row twice: otherwise it would be a ring.
            let mut rows = seen.clone();
            rows.sort_unstable();
            rows.dedup();
            prop_assert!(!whole || rows.len() == seen.len());
            prop_assert!(finished.take_all(n_rows, |_| None, |_| panic!("taken twice")));
        }

        #[test]
        fn rows_pushed_in_any_order_are_taken_latest_first(order in Just((0..20_u32).collect::<Vec<_>>()).prop_shuffle()) {
            let finished = Finished::default();
            let links: Vec<_> = order.iter().map(|_| AtomicU32::new(7)).collect();
            for &row in &order {
                finished.push(TaskIndex(row), &links[row as usize]);
            }
            let mut seen = Vec::new();
            let whole = finished.take_all(20, |row| links.get(row.0 as usize), |row| seen.insert(0, row.0));
            prop_assert!(whole);
            prop_assert_eq!(seen, order);
        }
    }
}
