//! The life word: a block is freed once, not while a reference or an unread name is left, and no name of the past finds
//! the next tenant of its place.

use std::sync::Arc;

use loom::cell::Cell;
use loom::thread;

use super::life::Life;
use crate::atomic::check;

/// A place of the arena.
struct Place {
    life: Life,
    /// What the tenants write and read: `Some` from the birth to the free. Nothing but the life word makes it visible.
    payload: Cell<Option<u32>>,
}

impl Place {
    /// With its first tenant, and its first reference.
    fn tenanted() -> Arc<Self> {
        let place = Arc::new(Self {
            life: Life::default(),
            payload: Cell::new(None),
        });
        assert_eq!(place.begin(), FIRST);
        place
    }

    fn begin(&self) -> u32 {
        assert_eq!(self.payload.get(), None, "the place is taken");
        self.payload.set(Some(0));
        self.life.begin()
    }

    /// What somebody with a reference does: the block is there, and is that tenant's.
    fn look(&self) {
        assert!(self.payload.get().is_some(), "it was freed too early");
    }

    /// `Block::drop`; true where it freed the place.
    fn leave(&self, of: u32) -> bool {
        let is_last = self.life.leave(of);
        if is_last {
            assert!(self.payload.get().is_some(), "it was freed twice");
            self.payload.set(None);
        }
        is_last
    }

    /// By the name of a block that must still be there.
    fn find_and_leave(&self, was_given: bool) -> bool {
        assert!(self.life.find(FIRST, was_given), "its name is left");
        self.look();
        self.leave(FIRST)
    }

    fn spawn<T: 'static>(
        self: &Arc<Self>,
        deeds: impl FnOnce(&Self) -> T + 'static,
    ) -> thread::JoinHandle<T> {
        let place = Arc::clone(self);
        thread::spawn(move || deeds(&place))
    }

    /// All references and names are gone.
    fn is_free(&self) -> bool {
        let is_free = self.payload.get().is_none();
        assert!(!self.life.give(FIRST) && !self.life.find(FIRST, true));
        is_free
    }
}

const FIRST: u32 = 0;

#[test]
fn of_three_references_one_is_the_last() {
    check(Some(3), || {
        let place = Place::tenanted();
        assert!(place.life.find(FIRST, false) && place.life.find(FIRST, false));
        let others = [(); 2].map(|()| {
            place.spawn(|place| {
                place.look();
                place.leave(FIRST)
            })
        });
        let mut n_last = u32::from(place.leave(FIRST));
        for other in others {
            n_last += u32::from(other.join().unwrap());
        }
        assert_eq!(n_last, 1);
        assert!(place.is_free());
    });
}

#[test]
fn a_name_that_was_given_keeps_it_until_it_is_read() {
    check(Some(3), || {
        let place = Place::tenanted();
        assert!(place.life.give(FIRST) && place.life.give(FIRST));
        let readers = [(); 2].map(|()| place.spawn(|place| place.find_and_leave(true)));
        let mut n_last = u32::from(place.leave(FIRST));
        for reader in readers {
            n_last += u32::from(reader.join().unwrap());
        }
        assert_eq!(n_last, 1);
        assert!(place.is_free());
    });
}

/// The second reader may come too late. It never costs the one with the first reference, and a third by its own name.
#[test]
fn a_name_that_is_read_twice_takes_no_reference_from_others() {
    check(Some(3), || {
        let place = Place::tenanted();
        assert!(place.life.give(FIRST));
        let readers = [(); 2].map(|()| {
            place.spawn(|place| {
                let found = place.life.find(FIRST, true);
                if found {
                    place.look();
                }
                (found, found && place.leave(FIRST))
            })
        });
        place.look();
        let mut n_last = u32::from(place.leave(FIRST));
        let mut n_found = 0;
        for reader in readers {
            let (found, was_last) = reader.join().unwrap();
            n_found += u32::from(found);
            n_last += u32::from(was_last);
        }
        assert!(n_found >= 1, "the name was good once");
        assert_eq!(n_last, 1);
        assert!(place.is_free());
    });
}

/// A name is given by who has a reference, and so is recalled: while a name of the same block is read.
#[test]
fn a_name_that_is_recalled_counts_no_more_and_others_do() {
    check(Some(3), || {
        let place = Place::tenanted();
        assert!(place.life.find(FIRST, false));
        assert!(place.life.give(FIRST));
        let reader = place.spawn(|place| place.find_and_leave(true));
        let sender = place.spawn(|place| {
            assert!(place.life.give(FIRST));
            place.life.recall(FIRST);
            place.look();
            place.leave(FIRST)
        });
        let mut n_last = u32::from(place.leave(FIRST));
        n_last += u32::from(reader.join().unwrap());
        n_last += u32::from(sender.join().unwrap());
        assert_eq!(n_last, 1);
        assert!(place.is_free());
    });
}

/// Whoever frees the place begins the next life in it, while others come with names, and handles, of the first.
#[test]
fn no_name_of_the_past_finds_the_next_tenant() {
    check(Some(3), || {
        let place = Place::tenanted();
        assert!(place.life.give(FIRST));
        let late = [true, false].map(|was_given| {
            place.spawn(move |place| {
                let found = place.life.find(FIRST, was_given);
                let is_last = found && {
                    place.look();
                    place.leave(FIRST)
                };
                if !found {
                    assert!(!place.life.give(FIRST), "given of a block that is no more");
                    place.life.recall(FIRST);
                }
                is_last
            })
        });
        let mut n_last = 0;
        let mut second = None;
        if place.leave(FIRST) {
            n_last += 1;
            second = Some(place.begin());
        }
        for late in late {
            n_last += u32::from(late.join().unwrap());
        }
        assert_eq!(n_last, 1);
        if let Some(second) = second {
            assert_ne!(second, FIRST);
            place.look();
            assert!(!place.life.find(FIRST, true) && !place.life.leave(FIRST));
            assert!(place.leave(second), "nobody else was counted");
        }
        assert!(place.payload.get().is_none());
    });
}
