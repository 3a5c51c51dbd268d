//! The lock: two never hold it, deaths at every step free it and are told once, nobody sleeps past its turn.

#[path = "../../../runtime/src/sync/raw_lock.rs"]
pub(crate) mod raw_lock;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use loom::thread;
use raw_lock::{Acquired, NotAcquired, RawLock};

use crate::atomic::{AtomicU32, Life, Ordering, check, check_deaths};
use crate::kernel::{BY_ITSELF, Manner, WOKEN, end, enter};

const OLD_BY_ITSELF: Manner = Manner {
    wakes_by_itself: true,
    is_old: true,
};
const OLD_WOKEN: Manner = Manner {
    wakes_by_itself: false,
    is_old: true,
};

/// A lock, and what it guards: nothing but the lock makes it visible.
#[derive(Default)]
struct Guarded {
    lock: RawLock,
    inside: AtomicU32,
    sum: AtomicU32,
    /// For the check only: no step of any process, and it makes nothing visible to any.
    n_told: AtomicUsize,
}

impl Guarded {
    fn add_one(&self) -> Acquired {
        let how = self.lock.acquire(None).unwrap();
        if how == Acquired::OwnerDied {
            self.n_told.fetch_add(1, Relaxed);
        }
        self.add_one_inside(how);
        how
    }

    fn add_one_inside(&self, how: Acquired) {
        let is_inside = self.inside.load(Ordering::Relaxed) != 0;
        assert!(how == Acquired::OwnerDied || !is_inside, "two holders");
        self.inside.store(1, Ordering::Relaxed);
        let sum = self.sum.load(Ordering::Relaxed);
        self.sum.store(sum + 1, Ordering::Relaxed);
        self.inside.store(0, Ordering::Relaxed);
        self.lock.release(false);
    }

    fn spawn<T: 'static>(
        self: &Arc<Self>,
        number: u32,
        manner: Manner,
        deeds: impl FnOnce(&Self) -> T + 'static,
    ) -> thread::JoinHandle<T> {
        let guarded = Arc::clone(self);
        thread::spawn(move || {
            enter(number, number, manner);
            deeds(&guarded)
        })
    }

    /// Adds one, or is killed on the way: then whether it held the lock.
    fn add_one_or_die(&self, life: &Life) -> Result<Acquired, bool> {
        life.live(|| self.add_one()).ok_or_else(|| {
            // Until the kernel says that it has ended, nobody takes the lock from it.
            let own = crate::kernel::identity::identity();
            let held = self.lock.holder() == Some((own >> 32) as u32);
            end();
            held
        })
    }
}

fn never_two(manners: [Manner; 2], preemptions: Option<usize>) {
    check(preemptions, move || {
        let guarded = Arc::<Guarded>::default();
        enter(1, 1, manners[0]);
        let other = guarded.spawn(2, manners[1], Guarded::add_one);
        assert_eq!(guarded.add_one(), Acquired::Clean);
        assert_eq!(other.join().unwrap(), Acquired::Clean);
        assert_eq!(guarded.sum.load(Ordering::Relaxed), 2);
        assert_eq!(guarded.lock.holder(), None);
    });
}

/// There are no timeouts here: a lost wake-up is a deadlock.
#[test]
fn two_take_turns_and_no_wake_up_is_lost() {
    never_two([WOKEN, WOKEN], Some(4));
}

#[test]
fn two_take_turns_by_reservation_and_no_wake_up_is_lost() {
    never_two([WOKEN, OLD_WOKEN], Some(4));
}

#[test]
fn of_three_none_sleeps_past_its_turn() {
    for manners in [[WOKEN, WOKEN], [WOKEN, OLD_WOKEN], [OLD_WOKEN, OLD_WOKEN]] {
        check(Some(2), move || {
            let guarded = Arc::<Guarded>::default();
            enter(1, 1, WOKEN);
            let others = [
                guarded.spawn(2, manners[0], Guarded::add_one),
                guarded.spawn(3, manners[1], Guarded::add_one),
            ];
            guarded.add_one();
            for other in others {
                assert_eq!(other.join().unwrap(), Acquired::Clean);
            }
            assert_eq!(guarded.sum.load(Ordering::Relaxed), 3);
        });
    }
}

fn deaths(mortal: Manner, survivor: Manner, preemptions: usize) {
    check_deaths(Some(preemptions), move |life| {
        let guarded = Arc::<Guarded>::default();
        enter(1, 1, survivor);
        let fate = {
            let life = life.clone();
            guarded.spawn(2, mortal, move |guarded| guarded.add_one_or_die(&life))
        };
        guarded.add_one();
        let fate = fate.join().unwrap();
        guarded.add_one();
        assert_eq!(guarded.n_told.load(Relaxed), usize::from(fate == Err(true)));
        assert_eq!(guarded.lock.holder(), None);
    });
}

#[test]
fn a_death_at_any_step_frees_the_lock_and_is_told_once() {
    deaths(BY_ITSELF, BY_ITSELF, 3);
}

#[test]
fn a_death_of_an_heir_at_any_step_frees_the_lock() {
    deaths(OLD_BY_ITSELF, BY_ITSELF, 3);
}

#[test]
fn a_death_beside_an_heir_at_any_step_frees_the_lock() {
    deaths(BY_ITSELF, OLD_BY_ITSELF, 3);
}

/// Process 3 has died with the lock; one that is killed on the way and one that lives both want it.
#[test]
fn of_two_who_find_a_dead_holder_one_is_told() {
    check_deaths(Some(2), |life| {
        let guarded = Arc::<Guarded>::default();
        enter(3, 3, BY_ITSELF);
        guarded.lock.acquire(None).unwrap();
        end();
        enter(1, 1, BY_ITSELF);
        let fate = {
            let life = life.clone();
            guarded.spawn(2, BY_ITSELF, move |guarded| guarded.add_one_or_die(&life))
        };
        guarded.add_one();
        let fate = fate.join().unwrap();
        guarded.add_one();
        let n_told = guarded.n_told.load(Relaxed);
        if fate == Err(true) {
            // Two deaths. If it died between taking the lock over and being told, its own is told in place of the other.
            assert!(n_told == 1 || n_told == 2, "{n_told}");
        } else {
            assert_eq!(n_told, 1);
        }
        assert_eq!(guarded.lock.holder(), None);
    });
}

/// The dead holder's thread had the id that a thread of the next holder's process has now.
#[test]
fn a_dead_holders_thread_is_not_mistaken_for_another() {
    check(Some(3), || {
        let guarded = Arc::<Guarded>::default();
        enter(3, 7, BY_ITSELF);
        guarded.lock.acquire(None).unwrap();
        end();
        enter(1, 1, BY_ITSELF);
        let namesake = {
            let guarded = Arc::clone(&guarded);
            thread::spawn(move || {
                enter(1, 7, BY_ITSELF);
                assert!(!guarded.lock.is_held_by_this_thread());
                match guarded.lock.try_acquire() {
                    Ok(how) => guarded.add_one_inside(how),
                    Err(why) => assert_eq!(why, NotAcquired::TimedOut),
                }
            })
        };
        guarded.add_one();
        namesake.join().unwrap();
    });
}

/// An heir that gives up leaves the turn to those who sleep behind it.
#[test]
fn who_gives_up_hands_its_wake_up_on() {
    for manner in [WOKEN, OLD_WOKEN] {
        check(Some(2), move || {
            let guarded = Arc::<Guarded>::default();
            enter(1, 1, WOKEN);
            guarded.lock.acquire(None).unwrap();
            let others = [
                guarded.spawn(2, manner, |guarded| {
                    // Its time is over after one sleep or a few looks at the clock.
                    match guarded.lock.wait_in_line(3_000_000) {
                        Ok(how) => guarded.add_one_inside(how),
                        Err(why) => assert_eq!(why, NotAcquired::TimedOut),
                    }
                }),
                guarded.spawn(3, WOKEN, |guarded| {
                    guarded.add_one();
                }),
            ];
            guarded.lock.release(false);
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }
}
