use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::Instant;

use super::*;
use crate::sync::testing::{Page, with_shared_page};
use crate::sys::testing::{in_child, watched};

fn take_one(page: &Page) {
    loop {
        let seen = page.notice.seen();
        let stock = page.words[0].load(Acquire);
        let taken = stock > 0
            && page.words[0]
                .compare_exchange(stock, stock - 1, AcqRel, Relaxed)
                .is_ok();
        if taken {
            return;
        }
        if stock == 0 {
            page.notice.wait(seen, None);
        }
    }
}

#[test]
fn processes_announce_to_each_other() {
    watched(|| {
        with_shared_page(|page| {
            let consumer = || {
                in_child(|| {
                    for _ in 0..1000 {
                        take_one(page);
                        page.words[1].fetch_add(1, Relaxed);
                    }
                })
            };
            let consumers = [consumer(), consumer(), consumer()];
            for _ in 0..3000 {
                page.words[0].fetch_add(1, AcqRel);
                page.notice.announce_one();
            }
            consumers.into_iter().for_each(|child| child.succeeds());
            assert_eq!(page.words[1].load(Relaxed), 3000);
        });
    });
}

#[test]
fn an_announcement_to_all_wakes_all() {
    watched(|| {
        with_shared_page(|page| {
            let sleeper = || {
                in_child(|| {
                    page.words[1].fetch_add(1, Release);
                    loop {
                        let seen = page.notice.seen();
                        if page.words[0].load(Acquire) != 0 {
                            return;
                        }
                        page.notice.wait(seen, None);
                    }
                })
            };
            let sleepers = [sleeper(), sleeper(), sleeper()];
            while page.words[1].load(Acquire) < 3 {
                thread::yield_now();
            }
            page.words[0].store(1, Release);
            page.notice.announce_all();
            sleepers.into_iter().for_each(|child| child.succeeds());
        });
    });
}

#[test]
fn what_was_announced_since_is_not_slept_over() {
    watched(|| {
        let notice = Notice::default();
        let seen = notice.seen();
        notice.announce_one();
        // If each of these slept, the test would be taken for one that hangs.
        for _ in 0..1000 {
            notice.wait(seen, None);
        }
        assert_ne!(notice.seen(), seen);
    });
}

/// One who announced has counted, and clears the flag last.
#[test]
fn who_lay_down_before_the_flag_was_cleared_does_not_sleep_though_another_sets_it_again() {
    let notice = Notice::default();
    let _died = notice.lie_down();
    assert!(notice.count());
    let (word, asleep) = notice.lie_down().unwrap();
    notice.wake_all();
    assert_ne!(word.load(Relaxed), asleep);
    notice.lie_down();
    assert_ne!(word.load(Relaxed), asleep);
}

#[test]
fn a_sleep_ends_with_its_timeout_or_the_longest_sleep() {
    watched(|| {
        let notice = Notice::default();
        let seen = notice.seen();
        let began = Instant::now();
        notice.wait(seen, Some(Duration::from_millis(5)));
        notice.wait(seen, None);
        notice.wait(seen, Some(Duration::MAX));
        // Signals may end a sleep early; there are none here.
        assert!(began.elapsed() >= Duration::from_millis(5) + 2 * LONGEST_SLEEP);
    });
}

#[test]
fn the_flag_of_a_killed_sleeper_is_cleared_by_the_next_announcement() {
    watched(|| {
        with_shared_page(|page| {
            let sleeper = in_child(|| {
                loop {
                    page.notice.wait(page.notice.seen(), None);
                }
            });
            let word = &page.notice.word;
            while word.load(Relaxed) & SLEEPERS == 0 {
                thread::yield_now();
            }
            sleeper.kill();
            assert_eq!(word.load(Relaxed) & SLEEPERS, SLEEPERS);
            page.notice.announce_one();
            assert_eq!(word.load(Relaxed) & SLEEPERS, 0);
        });
    });
}

#[test]
fn one_announcement_leaves_the_flag_for_those_who_still_sleep() {
    watched(|| {
        with_shared_page(|page| {
            let sleeper = || in_child(|| take_one(page));
            let sleepers = [sleeper(), sleeper()];
            for _ in 0..2 {
                thread::sleep(Duration::from_millis(20));
                page.words[0].fetch_add(1, AcqRel);
                page.notice.announce_one();
            }
            sleepers.into_iter().for_each(|child| child.succeeds());
        });
    });
}

#[test]
fn the_count_comes_around() {
    watched(|| {
        let notice = Notice::default();
        notice.word.store(u32::MAX, Relaxed);
        let seen = notice.seen();
        notice.announce_all();
        // One for the announcement, one for the flag.
        assert_eq!(notice.seen(), ONE_ANNOUNCEMENT);
        notice.wait(seen, None);
    });
}
