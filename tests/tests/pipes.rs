//! Pipes between a program and its processes, and waiting for several things at once.

#![cfg(target_os = "linux")]

use std::time::Duration;

use procession::{
    Connection, Error, Event, JobError, PipeError, Pool, PriorityQueue, Process, Queue, job, pipe,
    process_job, select, select_timeout, spawn,
};
use procession_tests::begin;
use serde::{Deserialize, Serialize};

#[process_job]
fn answer(questions: Connection<u64, Vec<u64>>) {
    while let Ok(numbers) = questions.recv() {
        if questions.send(numbers.iter().sum()).is_err() {
            return;
        }
    }
}

#[test]
fn a_process_answers_until_the_other_end_is_dropped() -> Result<(), Error> {
    let _test = begin();
    let (ours, theirs) = pipe()?;
    let child = spawn!(answer(theirs))?;
    for n in 0..1000 {
        ours.send((0..n).collect())?;
        assert_eq!(ours.recv()?, (0..n).sum());
    }
    // More than any pipe of the kernel holds, before anybody receives.
    (0..20).try_for_each(|_| ours.send(vec![1; 100_000]))?;
    for _ in 0..20 {
        assert_eq!(ours.recv()?, 100_000);
    }
    drop(ours);
    child.join()?;
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Worker {
    name: String,
    orders: Connection<String, Option<u32>>,
}

#[process_job]
fn work(worker: Worker) -> Worker {
    while let Ok(Some(order)) = worker.orders.recv() {
        let report = format!("{} did {order}", worker.name);
        worker.orders.send(report).expect("it is there");
    }
    worker
}

#[test]
fn an_end_goes_in_a_struct_to_a_worker_and_comes_back() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let (ours, orders) = pipe()?;
    let name = "one".to_owned();
    let mut worker = Worker { name, orders };
    for order in 0..3 {
        let job = pool.submit(job!(work), worker)?;
        ours.send(Some(order))?;
        assert_eq!(ours.recv()?, format!("one did {order}"));
        ours.send(None)?;
        worker = job.join()?;
    }
    drop(worker);
    assert_eq!(ours.recv(), Err(PipeError::Disconnected));
    Ok(())
}

#[process_job]
fn receive_by_reference(end: &Connection<u8, u8>) -> bool {
    end.recv().is_ok()
}

#[test]
fn an_end_passed_by_reference_is_refused_and_stays() -> Result<(), Error> {
    let _test = begin();
    let (ours, theirs) = pipe::<u8, u8>()?;
    let refused = spawn!(receive_by_reference(&theirs))?.join().unwrap_err();
    let JobError::Codec { message } = &refused else {
        panic!("{refused:?}");
    };
    assert!(
        message.contains("this end of a pipe cannot be received"),
        "{message}"
    );
    ours.send(1)?;
    assert_eq!(theirs.recv()?, 1);
    Ok(())
}

#[process_job]
fn talk_for_ever(end: Connection<u64, u64>, at_work: Event) {
    at_work.set();
    for n in 0.. {
        if end.send(n).is_err() || end.try_recv().is_err() {
            return;
        }
    }
}

#[process_job]
fn wait_for_ever(end: Connection<u64, u64>, at_work: Event) {
    at_work.set();
    while end.recv().is_ok() {}
}

#[test]
fn the_death_of_the_other_end_is_told_to_who_receives_polls_and_sends() -> Result<(), Error> {
    let _test = begin();
    for n in 0..200 {
        let (ours, theirs) = pipe()?;
        let at_work = Event::new()?;
        let victim: Process<()> = if n % 2 == 0 {
            spawn!(talk_for_ever(theirs, at_work.clone()))?
        } else {
            spawn!(wait_for_ever(theirs, at_work.clone()))?
        };
        at_work.wait();
        ours.send(n)?;
        std::thread::sleep(Duration::from_micros(n * 37 % 300));
        victim.kill()?;
        match n % 3 {
            // All it has sent, and then the end.
            0 => {
                let received: Vec<_> = std::iter::from_fn(|| ours.recv().ok()).collect();
                assert!((0..).zip(&received).all(|(n, &it)| n == it));
            }
            1 => while ours.send(1).is_ok() {},
            _ => {
                while ours.poll(Duration::MAX) {
                    if ours.try_recv().is_err() {
                        break;
                    }
                }
            }
        }
        assert_eq!(ours.send(1), Err(PipeError::Disconnected));
        assert!(victim.join().is_err());
    }
    Ok(())
}

#[process_job]
fn die_before_the_second_argument(first: Killer, end: Connection<u64, u64>) {
    let _ = (first, end);
}

#[derive(Serialize)]
struct Killer;

impl<'de> Deserialize<'de> for Killer {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from)?;
        std::process::abort();
    }
}

#[test]
fn an_end_whose_receiver_dies_before_it_has_it_is_gone() -> Result<(), Error> {
    let _test = begin();
    let (ours, theirs) = pipe::<u64, u64>()?;
    let child = spawn!(die_before_the_second_argument(Killer, theirs))?;
    assert!(child.join().is_err());
    assert_eq!(ours.recv(), Err(PipeError::Disconnected));
    Ok(())
}

#[process_job]
fn sleep(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn of_several_things_the_first_that_is_ready_is_told() -> Result<(), Error> {
    let _test = begin();
    let (queue, ranked) = (Queue::<u64>::new()?, PriorityQueue::<u8, u8>::new()?);
    let (ours, theirs) = pipe::<u64, u64>()?;
    let at_work = Event::new()?;
    let talker = spawn!(wait_for_ever(theirs, at_work.clone()))?;
    let sleeper = spawn!(sleep(100_000))?;
    at_work.wait();
    let limit = Duration::from_millis(10);
    assert!(select_timeout(&[&queue, &ranked, &ours, &sleeper], limit).is_empty());
    ranked.put(1, 1)?;
    assert_eq!(select(&[&queue, &ranked, &ours, &sleeper]), [1]);
    ranked.get()?;
    talker.kill()?;
    assert_eq!(select(&[&queue, &ranked, &ours, &sleeper]), [2]);
    assert_eq!(ours.recv(), Err(PipeError::Disconnected));
    sleeper.kill()?;
    assert_eq!(select(&[&queue, &ranked, &sleeper]), [2]);
    assert!(talker.join().is_err() && sleeper.join().is_err());
    Ok(())
}

#[process_job]
fn die_at_random(queue: &Queue<u64>, ranked: &PriorityQueue<u64, u64>, at_work: &Event) {
    at_work.set();
    for n in 0.. {
        queue.put(n).expect("it is open");
        ranked.put(n % 7, n).expect("it is open");
    }
}

#[test]
fn who_waits_for_several_things_is_not_held_up_by_those_killed_at_them() -> Result<(), Error> {
    let _test = begin();
    let (queue, ranked) = (Queue::new()?, PriorityQueue::new()?);
    for n in 0..200 {
        let at_work = Event::new()?;
        let victim = spawn!(die_at_random(&queue, &ranked, &at_work))?;
        at_work.wait();
        std::thread::sleep(Duration::from_micros(n * 37 % 300));
        victim.kill()?;
        loop {
            let ready = select(&[&queue, &ranked, &victim]);
            if ready == [2] {
                break;
            }
            while queue.try_get()?.is_some() {}
            while ranked.try_get()?.is_some() {}
        }
        assert!(victim.join().is_err());
    }
    Ok(())
}
