use std::thread;

use super::*;
use crate::sys::testing::watched;
use crate::{Pool, job, pipe, process_job, spawn};

const LONG: Duration = Duration::from_secs(30);

#[process_job]
fn sleep(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn of_nothing_nothing_is_ready_at_once() {
    assert!(select(&[]).is_empty());
}

#[test]
fn each_thing_wakes_who_waits_for_all_of_them() {
    watched(|| {
        let (queue, event) = (Queue::new().unwrap(), Event::new().unwrap());
        let (ours, theirs) = pipe::<u8, u8>().unwrap();
        let changes: [&(dyn Fn() + Sync); 3] = [
            &|| queue.put(1).unwrap(),
            &|| theirs.send(1).unwrap(),
            &|| event.set(),
        ];
        for (place, change) in changes.into_iter().enumerate() {
            thread::scope(|scope| {
                let ready = scope.spawn(|| select(&[&queue, &ours, &event]));
                thread::sleep(Duration::from_millis(10));
                change();
                assert_eq!(ready.join().unwrap(), [place]);
            });
            assert_eq!(select_timeout(&[&queue, &ours, &event], LONG), [place]);
            let _ = (queue.try_get(), ours.try_recv(), event.clear());
        }
    });
}

#[test]
fn all_that_are_ready_are_told_by_their_places() {
    let (queue, event) = (Queue::<u8>::new().unwrap(), Event::new().unwrap());
    event.set();
    queue.close();
    assert_eq!(select(&[&event, &queue, &event]), [0, 1, 2]);
}

#[test]
fn a_process_and_a_job_that_are_over_are_ready_and_those_that_run_are_not() {
    watched(|| {
        let pool = Pool::new(1).unwrap();
        let mut slow = spawn!(sleep(100_000)).unwrap();
        let quick = pool.submit(job!(sleep), 20).unwrap();
        assert_eq!(select(&[&slow, &quick]), [1]);
        quick.join().unwrap();
        slow.kill().unwrap();
        assert_eq!(select(&[&slow]), [0]);
        assert!(
            slow.join_timeout(Duration::ZERO).is_err(),
            "it does not wait"
        );
    });
}

#[test]
fn none_is_ready_when_the_time_is_over_and_not_before() {
    let (queue, event) = (Queue::<u8>::new().unwrap(), Event::new().unwrap());
    let (start, timeout) = (Instant::now(), Duration::from_millis(20));
    assert!(select_timeout(&[&queue, &event], timeout).is_empty());
    assert!(start.elapsed() >= timeout);
}

/// One waits for two queues and gets from the second only; for the first there are others.
#[test]
fn a_wake_that_is_not_used_goes_to_another() {
    watched(|| {
        let (both, one) = (Queue::<u32>::new().unwrap(), Queue::<u32>::new().unwrap());
        thread::scope(|scope| {
            let getter = scope.spawn(|| (0..1000).map(|_| both.get().unwrap()).sum::<u32>());
            let chooser = scope.spawn(|| {
                while !one.is_closed() {
                    select(&[&both, &one]);
                }
            });
            (0..1000).for_each(|_| both.put(1).unwrap());
            assert_eq!(getter.join().unwrap(), 1000);
            one.close();
            both.close();
            chooser.join().unwrap();
        });
    });
}

#[test]
fn more_things_than_the_kernel_takes_at_once_are_looked_at() {
    watched(|| {
        let events: Vec<_> = (0..200).map(|_| Event::new().unwrap()).collect();
        let things: Vec<&dyn Selectable> = events.iter().map(|it| it as _).collect();
        thread::scope(|scope| {
            let ready =
                scope.spawn(|| select(&events.iter().map(|it| it as _).collect::<Vec<_>>()));
            thread::sleep(Duration::from_millis(5));
            events[177].set();
            assert_eq!(ready.join().unwrap(), [177]);
        });
        assert_eq!(select(&things), [177]);
    });
}
