use std::sync::atomic::Ordering;
use std::thread;

use super::*;
use crate::shared::Atomic;
use crate::sys::testing::{in_child, watched};

fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn all_go_on_together_round_after_round() {
    const N_ROUNDS: u32 = 200;
    watched(|| {
        let barrier = Barrier::new(4).unwrap();
        let n_come = Atomic::new(0_u32).unwrap();
        let n_leaders = Atomic::new(0_u32).unwrap();
        let meet = || {
            for round in 1..=N_ROUNDS {
                n_come.fetch_add(1, Ordering::SeqCst);
                let turn = barrier.wait().unwrap();
                assert!(n_come.load(Ordering::SeqCst) >= 4 * round);
                n_leaders.fetch_add(u32::from(turn.is_leader()), Ordering::SeqCst);
                assert!(turn.index() < 4);
            }
        };
        let children = [in_child(meet), in_child(meet)];
        thread::scope(|scope| {
            scope.spawn(meet);
            scope.spawn(meet);
        });
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(n_leaders.load(Ordering::SeqCst), N_ROUNDS);
        assert_eq!((barrier.n_waiting(), barrier.is_broken()), (0, false));
    });
}

#[test]
fn who_waits_too_long_breaks_it_for_all_and_not_early() {
    watched(|| {
        let barrier = Barrier::new(3).unwrap();
        let other = in_child(|| assert_eq!(barrier.wait(), Err(BarrierError::Broken)));
        wait_until(|| barrier.n_waiting() == 1);
        let (start, timeout) = (Instant::now(), Duration::from_millis(30));
        assert_eq!(barrier.wait_timeout(timeout), Err(BarrierError::TimedOut));
        assert!(start.elapsed() >= timeout);
        other.succeeds();
        assert!(barrier.is_broken());
    });
}

#[test]
fn who_waits_is_told_of_an_abort_of_a_reset_and_of_a_death() {
    watched(|| {
        let barrier = Barrier::new(3).unwrap();
        for how in 0..3 {
            let told = || assert_eq!(barrier.wait(), Err(BarrierError::Broken));
            let other = in_child(told);
            let doomed = in_child(|| assert!(barrier.wait().is_ok()));
            wait_until(|| barrier.n_waiting() == 2);
            match how {
                0 => barrier.abort(),
                1 => barrier.reset(),
                _ => doomed.kill(),
            }
            other.succeeds();
            assert_eq!(barrier.is_broken(), how != 1);
            barrier.reset();
            assert_eq!(barrier.n_waiting(), 0);
        }
    });
}

#[test]
fn a_reset_right_after_an_abort_hides_it_from_nobody() {
    watched(|| {
        let barrier = Barrier::new(2).unwrap();
        let other = in_child(|| assert_eq!(barrier.wait(), Err(BarrierError::Broken)));
        wait_until(|| barrier.n_waiting() == 1);
        other.pidfd().kill(libc::SIGSTOP).unwrap();
        barrier.abort();
        barrier.reset();
        // A whole round, before the other looks.
        thread::scope(|scope| {
            scope.spawn(|| barrier.wait().unwrap());
            barrier.wait().unwrap();
        });
        other.pidfd().kill(libc::SIGCONT).unwrap();
        other.succeeds();
    });
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    for parties in [0, (1 << 22) + 1, usize::MAX] {
        let refused = Barrier::new(parties).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    assert!(Barrier::new(1 << 22).is_ok());
}
