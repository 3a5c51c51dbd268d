//! Queues between a program and its processes.

#![cfg(target_os = "linux")]

use std::time::Duration;

use procession::{
    Array, ArrayChunk, Error, Pool, Queue, QueueError, Value, job, pool_map, process_job, spawn,
};
use procession_tests::begin;

#[process_job]
fn put_all(queue: Queue<(u32, u32, Vec<u8>)>, who: u32, n: u32, len: usize) {
    for i in 0..n {
        queue
            .put((who, i, vec![i as u8; len]))
            .expect("the queue is open");
    }
}

#[test]
fn two_processes_put_megabytes_and_are_joined_before_anybody_gets() -> Result<(), Error> {
    let _test = begin();
    let queue = Queue::new()?;
    let children = [
        spawn!(put_all(queue.clone(), 1, 8, 1 << 20))?,
        spawn!(put_all(queue.clone(), 2, 8, 1 << 20))?,
    ];
    for child in children {
        child.join()?;
    }
    let mut next = [0; 3];
    for _ in 0..16 {
        let (who, i, bytes) = queue.get()?;
        assert_eq!(i, next[who as usize], "first in, first out");
        next[who as usize] += 1;
        assert!(bytes.len() == 1 << 20 && bytes.iter().all(|&byte| byte == i as u8));
    }
    assert_eq!(queue.try_get()?, None);
    Ok(())
}

#[process_job]
fn double_all(from: &Queue<u64>, to: &Queue<u64>) -> u64 {
    let mut n = 0;
    for x in from {
        to.put(2 * x.expect("a number")).expect("the queue is open");
        n += 1;
    }
    n
}

#[test]
fn workers_get_until_the_queue_is_closed() -> Result<(), Error> {
    let _test = begin();
    let (numbers, doubles) = (Queue::bounded(8)?, Queue::new()?);
    let pool = Pool::new(2)?;
    let handles = [
        pool.submit(job!(double_all), (&numbers, &doubles))?,
        pool.submit(job!(double_all), (&numbers, &doubles))?,
    ];
    for x in 0..5000 {
        numbers.put(x)?;
    }
    numbers.close();
    let mut n = 0;
    for handle in handles {
        n += handle.join()?;
    }
    assert_eq!((n, doubles.len()), (5000, 5000));
    doubles.close();
    let mut all: Vec<u64> = doubles.iter().collect::<Result<_, _>>()?;
    all.sort_unstable();
    assert_eq!(all, (0..5000).map(|x| 2 * x).collect::<Vec<_>>());
    assert_eq!(numbers.put(1), Err(QueueError::Closed));
    Ok(())
}

#[process_job]
fn send_handles(queue: &Queue<(Value<u64>, Array<u64>)>, n: u64) -> Result<(), String> {
    for n in 0..n {
        let made = (Value::new(n), Array::new(0..n));
        let (Ok(value), Ok(array)) = made else {
            return Err("no memory".to_owned());
        };
        queue
            .put((value, array))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn handles_in_messages_outlive_the_process_that_sent_them() -> Result<(), Error> {
    let _test = begin();
    let queue = Queue::new()?;
    spawn!(send_handles(&queue, 50))?.join()?.unwrap();
    for n in 0..50 {
        let (value, array) = queue.get()?;
        assert_eq!(value.get(), n);
        assert_eq!(array.to_vec(), (0..n).collect::<Vec<_>>());
    }
    // What nobody receives goes with the queue.
    spawn!(send_handles(&queue, 50))?.join()?.unwrap();
    Ok(())
}

#[process_job]
fn fill_chunks(work: &Queue<ArrayChunk<u8>>, done: &Queue<ArrayChunk<u8>>) {
    for chunk in work {
        let mut chunk = chunk.expect("a chunk");
        let index = chunk.index() as u8;
        chunk.fill(index);
        done.put(chunk).expect("the queue is open");
    }
}

#[test]
fn chunks_go_through_queues_and_belong_to_one_at_a_time() -> Result<(), Error> {
    let _test = begin();
    let (work, done) = (Queue::new()?, Queue::new()?);
    let pool = Pool::new(2)?;
    let handles = [
        pool.submit(job!(fill_chunks), (&work, &done))?,
        pool.submit(job!(fill_chunks), (&work, &done))?,
    ];
    for chunk in Array::<u8>::zeroed(100)?.into_chunks(10)? {
        work.put(chunk)?;
    }
    work.close();
    for handle in handles {
        handle.join()?;
    }
    done.close();
    let chunks: Vec<_> = done.iter().collect::<Result<_, _>>()?;
    let array = Array::from_chunks(chunks)?.to_vec();
    assert!((0..).zip(array).all(|(n, x)| x == (n / 10) as u8));
    Ok(())
}

#[process_job]
fn pass_on(from: &Queue<u64>, to: &Queue<u64>) {
    while let Ok(x) = from.get() {
        if to.put(x).is_err() {
            return;
        }
    }
}

#[test]
fn killed_processes_wedge_no_queue_and_lose_a_message_each_at_most() -> Result<(), Error> {
    let _test = begin();
    let (from, to) = (Queue::bounded(64)?, Queue::new()?);
    let survivor = spawn!(pass_on(&from, &to))?;
    let (n_killed, mut n_put) = (300, 0_u64);
    for _ in 0..n_killed {
        let victim = spawn!(pass_on(&from, &to))?;
        for _ in 0..50 {
            from.put(n_put)?;
            n_put += 1;
        }
        victim.kill()?;
        assert!(victim.join().is_err());
    }
    from.close();
    survivor.join()?;
    to.close();
    let mut arrived: Vec<u64> = to.iter().collect::<Result<_, _>>()?;
    let n_arrived = arrived.len() as u64;
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived.len() as u64, n_arrived, "none twice");
    assert!(
        n_put - n_arrived <= n_killed,
        "{n_put} put, {n_arrived} arrived, {n_killed} killed"
    );
    Ok(())
}

#[process_job]
fn wait_for_one(queue: &Queue<u64>) -> Option<u64> {
    queue
        .get_timeout(Duration::from_secs(30))
        .expect("it is open")
}

#[test]
fn a_sleeping_process_is_woken_by_a_put() -> Result<(), Error> {
    let _test = begin();
    let queue = Queue::new()?;
    let children = [spawn!(wait_for_one(&queue))?, spawn!(wait_for_one(&queue))?];
    std::thread::sleep(Duration::from_millis(300));
    queue.put(1)?;
    queue.put(2)?;
    let mut got = Vec::new();
    for child in children {
        got.extend(child.join()?);
    }
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
    Ok(())
}

#[process_job]
fn make_queue(n: u64) -> Result<Queue<u64>, String> {
    let queue = Queue::new().map_err(|error| error.to_string())?;
    (0..n).try_for_each(|n| queue.put(n).map_err(|error| error.to_string()))?;
    Ok(queue)
}

#[test]
fn a_queue_that_a_job_made_comes_back_with_what_is_in_it() -> Result<(), Error> {
    let _test = begin();
    let queue = spawn!(make_queue(10))?.join()?.unwrap();
    let pool = Pool::new(2)?;
    let got = pool_map!(in pool, wait_for_one, (0..10).map(|_| &queue))?;
    let mut got: Vec<u64> = got.into_iter().flatten().collect();
    got.sort_unstable();
    assert_eq!(got, (0..10).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn what_waits_in_a_queue_that_is_dropped_is_let_go() -> Result<(), Error> {
    let _test = begin();
    let array = Array::new(0..10_u64)?;
    for _ in 0..3 {
        let queue = Queue::new()?;
        for _ in 0..5 {
            queue.put((Value::new(1_u64)?, array.clone()))?;
        }
        let busy = array.clone().freeze().unwrap_err();
        assert!(busy.to_string().contains("handle"), "{busy}");
        drop(queue);
    }
    // Nobody else has it any more, and none of its names is on its way.
    assert_eq!(array.freeze()?.len(), 10);
    Ok(())
}

#[process_job]
fn work_off(tasks: &Queue<u32>, n_before_death: u32) {
    for _ in 0..n_before_death {
        tasks.get().expect("it is open");
        tasks.task_done().expect("it was got");
    }
    tasks.get().expect("it is open");
    std::process::abort();
}

#[process_job]
fn split(tasks: &Queue<u32>, n_halves: &Value<u32>) {
    while let Ok(task) = tasks.get() {
        if task > 1 {
            tasks.put(task / 2).expect("it is open");
            tasks.put(task - task / 2).expect("it is open");
        } else {
            n_halves.fetch_add(1);
        }
        tasks.task_done().expect("it was got");
    }
}

#[test]
fn who_joins_waits_for_the_tasks_of_tasks() -> Result<(), Error> {
    let _test = begin();
    let (tasks, n_halves) = (Queue::new()?, Value::new(0)?);
    let pool = Pool::new(3)?;
    let workers = [(); 3].map(|()| pool.submit(job!(split), (&tasks, &n_halves)));
    tasks.put(1000)?;
    tasks.join()?;
    assert_eq!(n_halves.get(), 1000);
    tasks.close();
    for worker in workers {
        worker?.join()?;
    }
    assert_eq!(tasks.task_done(), Err(QueueError::NoTask), "it got none");
    Ok(())
}

#[test]
fn who_joins_is_told_of_a_worker_that_died_with_a_task_and_can_go_on() -> Result<(), Error> {
    let _test = begin();
    let tasks = Queue::new()?;
    (0..10).try_for_each(|n| tasks.put(n))?;
    for n_dead in 1..=2 {
        let worker = spawn!(work_off(&tasks, 3))?;
        assert_eq!(tasks.join(), Err(QueueError::TasksLost { n: 1 }));
        assert!(worker.join().is_err());
        assert_eq!(tasks.len(), 10 - 4 * n_dead);
    }
    assert!(!tasks.join_timeout(Duration::ZERO)?);
    while tasks.try_get()?.is_some() {
        tasks.task_done()?;
    }
    tasks.join()?;
    Ok(())
}
