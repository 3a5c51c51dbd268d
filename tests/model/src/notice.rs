//! The notice: nobody sleeps past an announcement. There are no timeouts here: a lost wake-up is a deadlock.

#[path = "../../../runtime/src/sync/notice.rs"]
#[expect(clippy::module_inception, reason = "the original's name")]
pub(crate) mod notice;

use std::sync::Arc;

use loom::thread;
use notice::Notice;

use crate::atomic::{AtomicU32, Ordering, check};

/// Things in stock, of which each consumer takes one.
#[derive(Default)]
struct Stock {
    notice: Notice,
    n: AtomicU32,
}

impl Stock {
    fn take_one(&self) {
        loop {
            let seen = self.notice.seen();
            let n = self.n.load(Ordering::Relaxed);
            if n == 0 {
                self.notice.wait(seen, None);
            } else if self
                .n
                .compare_exchange(n, n - 1, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }

    fn consumer(self: &Arc<Self>) -> thread::JoinHandle<()> {
        let stock = Arc::clone(self);
        thread::spawn(move || stock.take_one())
    }
}

#[test]
fn a_sleeper_does_not_miss_what_is_announced() {
    check(None, || {
        let stock = Arc::<Stock>::default();
        let consumer = stock.consumer();
        stock.n.fetch_add(1, Ordering::Relaxed);
        stock.notice.announce_one();
        consumer.join().unwrap();
    });
}

#[test]
fn two_announcements_reach_two_sleepers() {
    check(Some(2), || {
        let stock = Arc::<Stock>::default();
        let consumers = [stock.consumer(), stock.consumer()];
        for _ in 0..2 {
            stock.n.fetch_add(1, Ordering::Relaxed);
            stock.notice.announce_one();
        }
        for consumer in consumers {
            consumer.join().unwrap();
        }
    });
}

#[test]
fn announcements_of_two_reach_a_sleeper_that_waits_for_both() {
    check(Some(3), || {
        let stock = Arc::<Stock>::default();
        let announcers = [true, false].map(|to_all| {
            let stock = Arc::clone(&stock);
            thread::spawn(move || {
                stock.n.fetch_add(1, Ordering::Relaxed);
                if to_all {
                    stock.notice.announce_all();
                } else {
                    stock.notice.announce_one();
                }
            })
        });
        stock.take_one();
        stock.take_one();
        for announcer in announcers {
            announcer.join().unwrap();
        }
    });
}

#[test]
fn one_announcement_to_all_reaches_two_sleepers() {
    check(Some(3), || {
        let stock = Arc::<Stock>::default();
        let consumers = [stock.consumer(), stock.consumer()];
        stock.n.fetch_add(2, Ordering::Relaxed);
        stock.notice.announce_all();
        for consumer in consumers {
            consumer.join().unwrap();
        }
    });
}
