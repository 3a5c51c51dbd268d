use super::*;
use crate::sys::testing::watched;

/// Past the largest pid of any Linux.
const DEAD: u64 = 1 << 55;

#[test]
fn a_state_remembers_how_the_last_rounds_ended() {
    let mut state = State(u64::from(u32::MAX - 20) << 32);
    let first = state.round();
    assert_eq!(state.outcome(first), None);
    assert_eq!(state.broken().outcome(first), Some(Err(NotMet::Broken)));
    let was_met = |n: u32| n % 3 != 1;
    for n in 0..100 {
        state = if was_met(n) {
            state.next(true)
        } else {
            state.broken().next(false)
        };
        assert!(!state.is_broken());
        for past in n.saturating_sub(30)..=n {
            let outcome = state.outcome(first.wrapping_add(past));
            assert_eq!(
                outcome,
                Some(was_met(past).then_some(()).ok_or(NotMet::Broken))
            );
        }
        assert_eq!(state.outcome(first.wrapping_add(n + 1)), None);
    }
    assert_eq!(state.outcome(first), Some(Err(NotMet::Broken)));
}

fn of(parties: u32) -> RawBarrier {
    let barrier = RawBarrier::default();
    barrier.begin(parties);
    barrier
}

/// A process that waits, and is dead.
fn come_and_die(barrier: &RawBarrier) {
    let (round, _) = barrier.come().unwrap();
    let place = barrier.waiting.own(round).unwrap();
    barrier.waiting.at(place).who.store(DEAD, Ordering::Relaxed);
}

#[test]
fn the_death_of_one_who_waits_breaks_the_round_for_the_others() {
    watched(|| {
        let barrier = of(3);
        come_and_die(&barrier);
        assert_eq!(barrier.n_waiting(), 1);
        assert_eq!(barrier.wait(None), Err(NotMet::Broken));
        assert!(barrier.is_broken());
        assert_eq!(
            (barrier.wait(None), barrier.n_waiting()),
            (Err(NotMet::Broken), 0)
        );
        barrier.reset();
        assert!(!barrier.is_broken());
    });
}

#[test]
fn places_that_a_dead_one_left_are_used_again() {
    watched(|| {
        let barrier = of(1000);
        while barrier.waiting.take(77).is_some() {}
        assert_eq!(barrier.come(), Ok((0, 0)));
        while barrier.waiting.take(0).is_some() {}
        let living = 1 << 32;
        for place in barrier.waiting.used() {
            place.who.store(living, Ordering::Relaxed);
        }
        assert_eq!(barrier.come(), Err(NotMet::NoPlace));
    });
}

#[test]
fn threads_of_one_process_are_counted_one_by_one() {
    watched(|| {
        let barrier = of(3);
        assert_eq!(barrier.come(), Ok((0, 0)));
        assert_eq!(barrier.come(), Ok((0, 1)));
        assert_eq!((barrier.n_waiting(), barrier.waiting.used().len()), (2, 1));
        assert_eq!(barrier.wait(None), Ok(2));
        assert_eq!((barrier.n_waiting(), barrier.come()), (0, Ok((1, 0))));
    });
}
