//! What is done once: by one at a time, seen by all afterwards, and done again if who was at it has died.

#[path = "../../../runtime/src/sync/raw_once.rs"]
mod raw_once;

use std::sync::Arc;

use raw_once::{RawOnce, Turn};

use crate::atomic::{AtomicU32, Ordering, check, check_deaths};
use crate::kernel::{BY_ITSELF, WOKEN, enter, spawn, spawn_mortal};
use crate::sync::Acquired;

#[derive(Default)]
struct Deed {
    once: RawOnce,
    n_begun: AtomicU32,
    n_done: AtomicU32,
}

impl Deed {
    /// How the one before had left, where it was this one's turn. Afterwards it is done.
    fn do_it(&self) -> Option<Acquired> {
        let turn = self.once.enter(None).unwrap();
        let left = match turn {
            Turn::Complete => None,
            Turn::Own(left) => {
                self.once.begin();
                let n_begun = self.n_begun.load(Ordering::Relaxed);
                assert!(n_begun == 0 || left == Acquired::OwnerDied, "untold");
                self.n_begun.store(n_begun + 1, Ordering::Relaxed);
                self.n_done.fetch_add(1, Ordering::Relaxed);
                self.once.complete();
                self.once.leave();
                Some(left)
            }
        };
        assert!(self.n_done.load(Ordering::Relaxed) > 0, "it is not done");
        left
    }
}

#[test]
fn one_of_two_does_it_and_both_see_it_done() {
    check(Some(3), || {
        let deed = Arc::<Deed>::default();
        enter(1, 1, WOKEN);
        let shared = Arc::clone(&deed);
        let other = spawn(2, WOKEN, move || shared.do_it());
        let turns = [deed.do_it(), other.join().unwrap()];
        assert_eq!(turns.into_iter().flatten().count(), 1);
        assert_eq!(deed.n_done.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_death_at_any_step_is_told_to_who_does_it_again() {
    check_deaths(Some(3), |life| {
        let deed = Arc::<Deed>::default();
        enter(1, 1, BY_ITSELF);
        let shared = Arc::clone(&deed);
        let mortal = spawn_mortal(2, life, move || {
            shared.do_it();
        });
        deed.do_it();
        mortal.join().unwrap();
        assert!(deed.once.is_complete());
        assert_eq!(deed.do_it(), None);
    });
}
