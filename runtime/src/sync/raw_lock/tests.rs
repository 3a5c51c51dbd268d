use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;

use super::*;
use crate::sync::testing::{Page, with_shared_page};
use crate::sys::testing::{Child, in_child, watched};
use crate::sys::{SIGKILL, pid};

type Outcome = Result<Acquired, NotAcquired>;

const CLEAN: Outcome = Ok(Acquired::Clean);
const OWNER_DIED: Outcome = Ok(Acquired::OwnerDied);
const POISONED: Outcome = Ok(Acquired::Poisoned);
const TIMED_OUT: Outcome = Err(NotAcquired::TimedOut);
const ALREADY_HELD: Outcome = Err(NotAcquired::AlreadyHeld);

fn sleep_forever() -> ! {
    loop {
        thread::park();
    }
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_micros(200));
    }
}

/// A process that holds the lock until it is killed.
fn holding_child(lock: &RawLock) -> Child {
    let child = in_child(|| {
        lock.acquire(None).unwrap();
        sleep_forever();
    });
    wait_until(|| lock.holder() == Some(child.pid()));
    child
}

fn after_millis(time: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(time))
}

#[test]
fn it_is_taken_and_let_go() {
    watched(|| {
        let lock = RawLock::default();
        assert_eq!(lock.holder(), None);
        for _ in 0..3 {
            assert_eq!(lock.acquire(None), CLEAN);
            assert_eq!(lock.holder(), Some(pid()));
            assert!(lock.is_held_by_this_thread());
            lock.release(false);
            assert!(!lock.is_held_by_this_thread());
            assert_eq!(lock.try_acquire(), CLEAN);
            lock.release(false);
        }
        assert_eq!(lock.holder.load(Relaxed), FREE);
    });
}

#[test]
fn nobody_waits_for_itself() {
    watched(|| {
        let lock = RawLock::default();
        assert_eq!(lock.acquire(None), CLEAN);
        assert_eq!(lock.acquire(None), ALREADY_HELD);
        assert_eq!(lock.try_acquire(), ALREADY_HELD);
        assert_eq!(lock.acquire(after_millis(1)), ALREADY_HELD);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(!lock.is_held_by_this_thread());
                assert_eq!(lock.try_acquire(), TIMED_OUT);
            });
        });
        lock.release(false);
        assert_eq!(lock.acquire(None), CLEAN);
    });
}

#[test]
fn a_panic_is_told_to_the_next_and_once() {
    watched(|| {
        let lock = RawLock::default();
        assert_eq!(lock.acquire(None), CLEAN);
        lock.release(true);
        assert_eq!(lock.acquire(None), POISONED);
        lock.release(false);
        assert_eq!(lock.acquire(None), CLEAN);
    });
}

#[test]
fn a_killed_holder_is_told_to_the_next_and_once() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            let attempts: [fn(&RawLock) -> Outcome; 3] = [
                |lock| lock.acquire(None),
                |lock| lock.try_acquire(),
                |lock| lock.acquire(Some(Instant::now())),
            ];
            for attempt in attempts {
                let child = holding_child(lock);
                assert_eq!(lock.try_acquire(), TIMED_OUT);
                child.kill();
                assert_eq!(attempt(lock), OWNER_DIED);
                assert!(lock.is_held_by_this_thread());
                lock.release(false);
                assert_eq!(attempt(lock), CLEAN);
                lock.release(false);
            }
        });
    });
}

#[test]
fn a_waiter_whose_every_sleep_is_cut_short_still_learns_of_the_death() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            let holder = holding_child(lock);
            let _rings = in_child(|| {
                loop {
                    lock.ring(u32::MAX);
                    thread::sleep(Duration::from_micros(100));
                }
            });
            let waiter = in_child(|| assert_eq!(lock.acquire(None), OWNER_DIED));
            wait_until(|| (lock.heir.load(Relaxed) >> 32) as u32 == waiter.pid());
            holder.kill();
            waiter.succeeds();
        });
    });
}

#[test]
fn a_panic_that_a_death_hides_is_not_told_later() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            in_child(|| {
                lock.acquire(None).unwrap();
                lock.left.store(1, Relaxed);
            })
            .succeeds();
            assert_eq!(lock.acquire(None), OWNER_DIED);
            lock.release(false);
            assert_eq!(lock.acquire(None), CLEAN);
        });
    });
}

#[test]
fn of_those_who_wait_one_learns_of_the_death() {
    watched(|| {
        with_shared_page(|page| {
            let Page { lock, words, .. } = page;
            let child = holding_child(lock);
            let wait = || match lock.acquire(None).unwrap() {
                Acquired::Clean => {
                    lock.release(false);
                }
                Acquired::OwnerDied => {
                    words[0].fetch_add(1, Relaxed);
                    lock.release(false);
                }
                Acquired::Poisoned => panic!("nobody panicked"),
            };
            let waiters = [in_child(wait), in_child(wait), in_child(wait)];
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(wait);
                }
                thread::sleep(Duration::from_millis(5));
                // Not reaped: a zombie holds nothing either.
                child.pidfd().kill(SIGKILL).unwrap();
            });
            waiters.into_iter().for_each(|waiter| waiter.succeeds());
            assert_eq!(words[0].load(Relaxed), 1);
        });
    });
}

#[test]
fn a_lock_whose_guard_was_leaked_stays_locked_while_its_process_lives() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            let child = in_child(|| {
                thread::scope(|scope| {
                    scope.spawn(|| lock.acquire(None).unwrap());
                });
                assert_eq!(lock.try_acquire(), TIMED_OUT);
                assert_eq!(lock.acquire(after_millis(40)), TIMED_OUT);
                sleep_forever();
            });
            wait_until(|| lock.holder() == Some(child.pid()));
            assert_eq!(lock.acquire(after_millis(40)), TIMED_OUT);
            child.kill();
            assert_eq!(lock.acquire(None), OWNER_DIED);
        });
    });
}

#[test]
fn who_does_not_hold_lets_nothing_go() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            lock.release(false);
            assert_eq!(lock.acquire(None), CLEAN);
            // As the copy of a guard in a forked child.
            let release_in_vain = || {
                assert!(!lock.release_uncontended(true));
                lock.release(true);
            };
            in_child(release_in_vain).succeeds();
            thread::scope(|scope| {
                scope.spawn(release_in_vain);
            });
            assert!(lock.is_held_by_this_thread());
            assert!(lock.mark_for_holder_here());
            assert!(!lock.release_uncontended(true));
            assert!(lock.is_held_by_this_thread());
            lock.release(false);
            assert_eq!(lock.acquire(None), CLEAN);
        });
    });
}

#[test]
fn a_wait_does_not_end_before_its_time() {
    watched(|| {
        with_shared_page(|page| {
            let Page { lock, words, .. } = page;
            // Lets go all the time, but holds the lock whenever it is asked for.
            let busy = in_child(|| {
                lock.acquire(None).unwrap();
                loop {
                    lock.ring(u32::MAX);
                    words[0].fetch_add(1, Relaxed);
                }
            });
            wait_until(|| lock.holder() == Some(busy.pid()));
            for millis in [0, 1, 3, 17, 60] {
                let deadline = after_millis(millis);
                assert_eq!(lock.acquire(deadline), TIMED_OUT);
                assert!(Instant::now() >= deadline.unwrap());
            }
            assert_eq!(lock.heir.load(Relaxed), NOBODY);
        });
    });
}

#[test]
fn two_holders_never_meet() {
    const N_TURNS: u64 = 5000;
    watched(|| {
        with_shared_page(|page| {
            let Page { lock, words, .. } = page;
            let add = || {
                for _ in 0..N_TURNS {
                    assert_eq!(lock.acquire(None), CLEAN);
                    let sum = words[0].load(Relaxed);
                    if sum % 64 == 0 {
                        thread::yield_now();
                    }
                    words[0].store(sum + 1, Relaxed);
                    lock.release(false);
                }
            };
            let of_two_threads = || {
                thread::scope(|scope| {
                    scope.spawn(add);
                    scope.spawn(add);
                });
            };
            let children = [in_child(of_two_threads), in_child(add), in_child(add)];
            of_two_threads();
            children.into_iter().for_each(|child| child.succeeds());
            assert_eq!(words[0].load(Relaxed), 6 * N_TURNS);
            assert_eq!(lock.holder(), None);
        });
    });
}

#[test]
fn kills_at_any_moment_wedge_nobody() {
    const N_KILLS: u64 = 1200;
    watched(|| {
        with_shared_page(|page| {
            let Page { lock, words, .. } = page;
            let [inside, turns, ..] = words;
            let take_turns = || loop {
                let by_death = lock.acquire(None).unwrap() == Acquired::OwnerDied;
                assert!(by_death || inside.load(Relaxed) == 0, "two holders");
                inside.store(1, Relaxed);
                turns.fetch_add(1, Relaxed);
                inside.store(0, Relaxed);
                lock.release(false);
            };
            let mut children = [in_child(take_turns), in_child(take_turns)];
            let mut random = 1_u64;
            let mut n_deaths = 0;
            for n_kill in 0..N_KILLS {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                thread::sleep(Duration::from_micros((random >> 33) % 1500));
                let victim = (n_kill % 2) as usize;
                children[victim].pidfd().kill(SIGKILL).unwrap();
                let how = lock.acquire(None).unwrap();
                n_deaths += u64::from(how == Acquired::OwnerDied);
                assert!(how == Acquired::OwnerDied || inside.load(Relaxed) == 0);
                inside.store(0, Relaxed);
                lock.release(false);
                children[victim] = in_child(take_turns);
            }
            eprintln!("{n_deaths} deaths told here, {turns:?} turns");
        });
    });
}

#[test]
fn neither_of_two_processes_is_starved() {
    watched(|| {
        with_shared_page(|page| {
            let Page { lock, words, .. } = page;
            let [start, stop, first, second, ..] = words;
            let take_turns = |count: &AtomicU64| {
                start.fetch_add(1, Release);
                while start.load(Acquire) < 2 {
                    thread::yield_now();
                }
                while stop.load(Relaxed) == 0 {
                    assert_eq!(lock.acquire(None), CLEAN);
                    count.fetch_add(1, Relaxed);
                    lock.release(false);
                }
            };
            let children = [
                in_child(|| take_turns(first)),
                in_child(|| take_turns(second)),
            ];
            thread::sleep(Duration::from_secs(2));
            stop.store(1, Relaxed);
            children.into_iter().for_each(|child| child.succeeds());
            let (first, second) = (first.load(Relaxed), second.load(Relaxed));
            let share = first.min(second) as f64 / (first + second) as f64;
            eprintln!("{first} and {second} turns: {share:.2}");
            assert!(first + second > 1000 && share >= 0.3, "{first}, {second}");
        });
    });
}

#[test]
fn an_heir_that_is_dead_or_does_not_come_is_passed_over() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            let dead = in_child(|| {});
            let gone = u64::from(dead.pid()) << 32;
            dead.succeeds();
            let absent = in_child(|| sleep_forever());
            let stopped = u64::from(absent.pid()) << 32;
            for heir in [gone, stopped, u64::MAX] {
                lock.reserved_at.store(ticks(monotonic_nanos()), Relaxed);
                lock.holder.store(RESERVED, Relaxed);
                lock.heir.store(heir, Relaxed);
                let at_once = if heir == stopped { TIMED_OUT } else { CLEAN };
                assert_eq!(lock.try_acquire(), at_once);
                if at_once == TIMED_OUT {
                    assert_eq!(lock.acquire(None), CLEAN);
                }
                assert_eq!(lock.heir.load(Relaxed), NOBODY);
                lock.release(false);
            }
        });
    });
}

#[test]
fn a_stopped_heir_keeps_a_free_lock_from_nobody_who_only_tries() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            assert_eq!(lock.acquire(None), CLEAN);
            let heir = in_child(|| {
                assert_eq!(lock.acquire(None), CLEAN);
                sleep_forever()
            });
            wait_until(|| lock.heir.load(Relaxed) != NOBODY);
            heir.pidfd().kill(libc::SIGSTOP).unwrap();
            thread::sleep(Duration::from_millis(50));
            lock.release(false);
            wait_until(|| lock.try_acquire() == CLEAN);
        });
    });
}

#[test]
fn a_waiter_that_has_waited_long_is_next() {
    watched(|| {
        with_shared_page(|Page { lock, words, .. }| {
            assert_eq!(lock.acquire(None), CLEAN);
            let waiter = in_child(|| {
                assert_eq!(lock.acquire(None), CLEAN);
                words[0].store(1, Relaxed);
                assert_eq!(lock.heir.load(Relaxed), NOBODY);
                lock.release(false);
            });
            wait_until(|| (lock.heir.load(Relaxed) >> 32) as u32 == waiter.pid());
            lock.release(false);
            while lock.try_acquire() == TIMED_OUT {
                thread::yield_now();
            }
            assert_eq!(words[0].load(Relaxed), 1);
            lock.release(false);
            waiter.succeeds();
        });
    });
}

#[test]
fn words_of_garbage_hang_nobody() {
    watched(|| {
        with_shared_page(|Page { lock, .. }| {
            for garbage in [2, 3, 4, 0xdead_beef, u64::MAX, 1 << 63, 0x7fff_ffff << 32] {
                for other in [0, 1, u64::MAX] {
                    lock.holder.store(garbage, Relaxed);
                    lock.heir.store(other, Relaxed);
                    lock.thread.store(other as u32, Relaxed);
                    lock.left.store(other as u32, Relaxed);
                    lock.bell.store(other as u32, Relaxed);
                    lock.acquire(None).unwrap();
                    assert!(lock.is_held_by_this_thread());
                    // The holder's own words, gone while it holds: it lets go all the same.
                    lock.thread.store(garbage as u32, Relaxed);
                    lock.heir.store(garbage, Relaxed);
                    lock.release(false);
                    assert_eq!(lock.holder(), None);
                    assert_eq!(lock.acquire(None), CLEAN);
                    lock.release(false);
                    // Taken away from the holder: its release frees nothing of what another has.
                    assert_eq!(lock.acquire(None), CLEAN);
                    lock.holder.store(garbage | 4, Relaxed);
                    lock.release(false);
                    assert_eq!(lock.holder.load(Relaxed), garbage | 4);
                }
            }
        });
    });
}

#[test]
fn a_forked_child_waits_for_its_parent_and_then_holds_by_itself() {
    watched(|| {
        with_shared_page(|Page { lock, words, .. }| {
            assert_eq!(lock.acquire(None), CLEAN);
            let child = in_child(|| {
                assert!(!lock.is_held_by_this_thread());
                assert_eq!(lock.try_acquire(), TIMED_OUT);
                words[0].store(1, Release);
                assert_eq!(lock.acquire(None), CLEAN);
                assert_eq!(lock.acquire(None), ALREADY_HELD);
                lock.release(false);
            });
            wait_until(|| words[0].load(Acquire) == 1);
            lock.release(false);
            child.succeeds();
        });
    });
}
