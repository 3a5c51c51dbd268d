//! A program of one thread whose workers are its forks, or that forks by itself: `forks WHAT`.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use procession::{
    Array, Barrier, Error, ErrorKind, Executor, InlineExecutor, JobError, Lock, Pool, Queue,
    SharedSlice, StartMethod, Value, job, job_index, pool_map, process_job, spawn, worker_index,
};
use procession_tests::processes::{self, Signal};
use procession_tests::{kit, wait_for};

static FILLED: AtomicU32 = AtomicU32::new(0);

#[process_job]
fn filled() -> u32 {
    FILLED.load(Ordering::Relaxed)
}

/// One of several at the same time: its place, and what is there.
#[process_job]
fn filled_beside(all: &Barrier) -> (Option<usize>, u32) {
    all.wait().expect("the others");
    (worker_index(), FILLED.load(Ordering::Relaxed))
}

#[process_job]
fn fill(number: u32) -> u32 {
    FILLED.swap(number, Ordering::Relaxed)
}

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

#[process_job]
fn parent_pid() -> u32 {
    std::os::unix::process::parent_id()
}

#[process_job]
fn sleeps(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

/// Makes pools of both methods in a job.
#[process_job]
fn nests() -> Vec<u32> {
    FILLED.store(FILLED.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let of = |pool: Result<Pool, Error>| {
        let pool = pool.expect("a pool in a job");
        pool.submit(job!(filled), ())
            .and_then(|handle| Ok(handle.join()?))
            .expect("a number")
    };
    vec![of(forked(1)), of(Pool::new(1))]
}

fn kept() -> Vec<u64> {
    vec![7; 2]
}

#[process_job(initializer)]
fn keep(n: usize) -> Vec<u64> {
    vec![0; n]
}

#[process_job(state)]
fn add_kept(kept: &mut Vec<u64>, x: u64) -> usize {
    kept.push(x);
    kept.len()
}

#[process_job(state)]
#[expect(clippy::ptr_arg, reason = "the type of the state")]
fn n_kept(kept: &mut Vec<u64>) -> usize {
    kept.len()
}

#[process_job]
fn employer() -> (String, Option<usize>) {
    let parent = procession::parent_process().expect("a worker works for somebody");
    (format!("{} {}", parent.name, parent.pid), worker_index())
}

#[process_job]
fn index_there() -> Option<u64> {
    job_index()
}

#[process_job]
fn indices_here_and_there() -> (Option<u64>, Option<u64>) {
    let pool = forked(1).expect("a pool");
    let there = pool.submit(job!(index_there), ()).expect("a pool").join();
    (job_index(), there.expect("an index"))
}

fn forked(n_workers: usize) -> Result<Pool, Error> {
    Pool::builder()
        .workers(n_workers)
        .start_method(StartMethod::Fork)
        .build()
}

/// Runs `act` in a child that the user's own code forks; it must come to its end.
fn in_a_fork(act: impl FnOnce()) {
    #[expect(unsafe_code, reason = "what a user may do")]
    // SAFETY: this program has one thread.
    let forked = unsafe { fork() };
    match forked.expect("a fork") {
        ForkResult::Child => {
            act();
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            assert!(
                matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))),
                "the child failed"
            );
        }
    }
}

fn refused<T>(what: &str, outcome: Result<T, Error>) {
    match outcome {
        Ok(_) => println!("{what} worked"),
        Err(error) => println!("{what}: {:?}: {error}", error.kind()),
    }
}

/// Made before the fork, and never passed to a job.
static INHERITED: OnceLock<Handles> = OnceLock::new();

/// One handle of each kind.
struct Handles {
    value: Value<u64>,
    lock: Lock,
    array: Array<u64>,
    slice: SharedSlice<u64>,
    queue: Queue<u64>,
}

impl Handles {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            value: Value::new(0)?,
            lock: Lock::new()?,
            array: Array::zeroed(4)?,
            slice: Array::new([1, 2, 3])?.freeze()?,
            queue: Queue::new()?,
        })
    }
}

/// Uses what it inherited and what it is given, and returns something new.
#[process_job]
fn uses_handles(
    value: Value<u64>,
    array: &Array<u64>,
    queue: Queue<u64>,
) -> Result<Array<u64>, Refusal> {
    let inherited = INHERITED
        .get()
        .ok_or_else(|| Refusal("not inherited".into()))?;
    let _guard = inherited.lock.acquire()?;
    inherited.value.fetch_add(inherited.slice[2]);
    value.fetch_add(1);
    inherited.array.lock()?[0] += 10;
    array.lock()?[0] += 20;
    inherited.queue.put(1)?;
    queue.put(2)?;
    Ok(Array::new([value.get(), 7])?)
}

/// A message, since errors of this crate do not travel.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Refusal(String);

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn handles() {
    let inherited = INHERITED.get_or_init(|| Handles::new().expect("memory"));
    let pool = forked(2).expect("a pool");
    // Made after the fork.
    let late = Handles::new().expect("memory");
    let args = (0..100).map(|_| (late.value.clone(), &late.array, late.queue.clone()));
    let made = pool.map(job!(uses_handles), args).expect("results");
    let n_good = made
        .iter()
        .flatten()
        .filter(|made| made.get(1) == Some(7))
        .count();
    println!("{n_good} of {} came back", made.len());
    for (whose, handles) in [("inherited", inherited), ("passed", &late)] {
        println!(
            "{whose}: {} {:?} {}",
            handles.value.get(),
            handles.array.to_vec(),
            handles.queue.len()
        );
    }
    println!("{:?}", inherited.slice);
}

/// Dropped by the program after the fork: made by it, and made by a job.
static DROPPED: Mutex<Vec<Array<u64>>> = Mutex::new(Vec::new());

#[process_job]
fn makes_array() -> Array<u64> {
    Array::new([4, 5]).expect("memory")
}

#[process_job]
fn returns_dropped() -> Vec<Array<u64>> {
    DROPPED.lock().expect("no panic").clone()
}

/// What a fork has inherited it has for as long as it likes, and may pass on.
fn dropped() {
    let made = spawn!(makes_array()).expect("a process");
    let arrays = [Array::new([1, 2, 3]), Ok(made.join().expect("an array"))];
    let arrays = arrays.into_iter().collect::<Result<Vec<_>, _>>();
    *DROPPED.lock().expect("no panic") = arrays.expect("memory");
    let pool = forked(1).expect("a pool");
    DROPPED.lock().expect("no panic").clear();
    let returned = pool.map(job!(returns_dropped), [()]).expect("arrays");
    let contents: Vec<_> = returned[0].iter().map(Array::to_vec).collect();
    println!("{contents:?}");
}

static LEAKED: Mutex<Option<&'static mut [u64]>> = Mutex::new(None);

#[process_job]
fn writes_leaked() -> bool {
    // What is mapped now must not come to lie where the array was.
    let _others: Vec<_> = (0..64).map(|_| Array::<u64>::zeroed(4)).collect();
    let mut leaked = LEAKED.lock().unwrap_or_else(|error| error.into_inner());
    leaked.as_mut().map(|numbers| numbers[0] = 5).is_some()
}

/// A `&mut` into an array, leaked by safe code, does not reach a fork.
fn leaked() {
    let array = Array::<u64>::zeroed(4).expect("memory");
    let guard = Box::leak(Box::new(array.lock().expect("nobody holds it")));
    *LEAKED.lock().expect("no panic") = Some(&mut **guard);
    let pool = forked(1).expect("a pool");
    let verdicts = pool.map_each(job!(writes_leaked), [()]).expect("verdicts");
    let is_killed = matches!(verdicts[0], Err(JobError::Killed { signal: 11, .. }));
    let here = LEAKED
        .lock()
        .expect("no panic")
        .as_ref()
        .map(|numbers| numbers[0]);
    println!("killed {is_killed}, here {here:?}");
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    match what.as_str() {
        "memory" => {
            FILLED.store(5, Ordering::Relaxed);
            let pool = forked(1).expect("a pool");
            FILLED.store(6, Ordering::Relaxed);
            let look = || {
                pool.submit(job!(filled), ())
                    .expect("a pool")
                    .join()
                    .expect("a number")
            };
            println!("then {}", look());
            let before = pool
                .submit(job!(fill), 7)
                .expect("a pool")
                .join()
                .expect("a number");
            println!("there {before}, then {}", look());
            println!("here {}", FILLED.load(Ordering::Relaxed));
            let pids = pool.pids();
            processes::send(pids[0], Signal::SIGKILL);
            wait_for("another worker", || pool.pids() != pids);
            println!("replaced {}", look());
        }
        "state" => {
            let of_here = kept().len();
            let pool = Pool::builder()
                .workers(1)
                .start_method(StartMethod::Fork)
                .initializer(job!(keep), of_here)
                .finalizer(job!(n_kept), ())
                .build()
                .expect("a pool");
            let lens = pool.map(job!(add_kept), [1, 2, 3]).expect("lengths");
            println!("{lens:?}");
            let parent = pool.map(job!(employer), [()]).expect("a name").remove(0);
            println!("{parent:?} {}", std::process::id());
            // A job of this very process has a place in its map, which no worker has that is forked meanwhile.
            let inline = InlineExecutor::new();
            let indices = inline.map(job!(indices_here_and_there), [(), ()]);
            println!("{indices:?}");
            println!("{:?}", pool.close_with_results::<usize>());
        }
        "resize" => {
            FILLED.store(5, Ordering::Relaxed);
            let pool = forked(1).expect("a pool");
            FILLED.store(6, Ordering::Relaxed);
            // Who calls it now may have threads: the fork is the supervisor's.
            std::thread::scope(|scope| {
                let resized = scope.spawn(|| pool.resize(3));
                resized.join().expect("no panic").expect("two workers more");
            });
            let all = Barrier::new(3).expect("a barrier");
            let seen = pool.map(job!(filled_beside), [&all; 3]);
            let mut seen = seen.expect("all three at the same time");
            seen.sort_unstable();
            println!("{seen:?}");
        }
        "idle" => {
            FILLED.store(5, Ordering::Relaxed);
            let pool = Pool::builder()
                .workers(1)
                .start_method(StartMethod::Fork)
                .idle_timeout(Duration::from_millis(5))
                .build()
                .expect("a pool");
            FILLED.store(6, Ordering::Relaxed);
            for _ in 0..2 {
                wait_for("it to retire", || pool.pids().is_empty());
                println!("{:?}", pool.map(job!(filled), [()]).expect("a worker"));
            }
        }
        "threads" => {
            let (keep, wait) = channel::<()>();
            let thread = std::thread::spawn(move || wait.recv().is_err());
            let error = forked(1).expect_err("a program with two threads");
            println!("{:?}: {error}", error.kind());
            drop(keep);
            thread.join().expect("no panic");
            let pool = forked(1).expect("a pool, now that there is one thread");
            println!("{:?}", pool.map(job!(square), 0..4).expect("results"));
        }
        "handles" => handles(),
        "kit" => kit::goes_everywhere(&forked(2).expect("a pool")).expect("its handles travel"),
        "dropped" => dropped(),
        "leaked" => leaked(),
        "nested" => {
            FILLED.store(5, Ordering::Relaxed);
            let pool = forked(1).expect("a pool");
            println!(
                "{:?}",
                pool.submit(job!(nests), ())
                    .expect("a pool")
                    .join()
                    .expect("numbers")
            );
        }
        "printing" => {
            print!("[rust]");
            #[expect(unsafe_code, reason = "C's own buffer")]
            // SAFETY: a format without arguments.
            unsafe {
                libc::printf(c"[c]".as_ptr())
            };
            let pool = forked(3).expect("a pool");
            pool.map(job!(square), 0..100).expect("results");
            pool.close().expect("an end");
        }
        "several" => {
            let pools: Vec<_> = (0..5)
                .map(|number| {
                    FILLED.store(number, Ordering::Relaxed);
                    forked(2).expect("a pool")
                })
                .collect();
            let default = pool_map!(filled, [()]).expect("the default pool");
            let seen: Vec<_> = pools
                .iter()
                .map(|pool| pool.map(job!(filled), [()]).expect("a pool")[0])
                .collect();
            println!("{seen:?} {default:?}");
        }
        "supervisor" => {
            let (pool, other) = (forked(1).expect("a pool"), forked(1).expect("a pool"));
            let handle = pool.submit(job!(sleeps), 1_000_000).expect("a pool");
            let supervisor = other_parent(&pool);
            processes::send(supervisor, Signal::SIGKILL);
            // Whether it had begun by then is a matter of chance.
            match handle.join() {
                Err(JobError::Lost { reason, .. }) => println!("lost: {reason}"),
                other => println!("{other:?}"),
            }
            println!("{:?}", other.map(job!(square), 0..4).expect("results"));
        }
        "parents" => parents_things(),
        "own" => {
            let pool = Pool::new(2).expect("a pool");
            pool_map!(square, 0..10).expect("the default pool");
            let ours = procession_tests::supervisor_pid();
            in_a_fork(|| {
                println!(
                    "{:?}",
                    pool_map!(square, 0..4).expect("a default pool of the child's own")
                );
                println!(
                    "{:?}",
                    Pool::new(2)
                        .and_then(|pool| pool.map(job!(square), 0..3))
                        .expect("a pool")
                );
                println!(
                    "{:?}",
                    forked(1)
                        .and_then(|pool| pool.map(job!(square), 0..2))
                        .expect("a forked pool")
                );
                let process = spawn!(parent_pid())
                    .expect("a process")
                    .join()
                    .expect("a number");
                assert_ne!(process, ours, "a supervisor of its own");
            });
            assert_eq!(pool.map(job!(square), 0..4).expect("results"), [0, 1, 4, 9]);
            println!("here too");
        }
        other => panic!("what is {other:?}?"),
    }
}

/// The supervisor of a busy pool's worker.
fn other_parent(pool: &Pool) -> u32 {
    processes::parent_of(pool.pids()[0]).expect("a worker")
}

/// A child that the user forked has the parent's pool, handle and process in its memory.
fn parents_things() {
    let pool = Pool::new(2).expect("a pool");
    let handles = [300, 300].map(|millis| pool.submit(job!(sleeps), millis).expect("a pool"));
    let process = spawn!(sleeps(300)).expect("a process");
    let pids = pool.pids();
    // Dropped in the child only: there it takes them out.
    let mut things = Some((pool, handles, process));
    in_a_fork(|| {
        let (pool, [one, mut other], mut process) = things.take().expect("what the parent made");
        refused("map", pool.map(job!(square), 0..3));
        refused("map_each", pool.map_each(job!(square), 0..3));
        refused("submit", pool.submit(job!(square), 3));
        refused("try_submit", pool.try_submit(job!(square), 3));
        println!("pids {:?}", pool.pids());
        pool.stats();
        println!("cancel {}", one.cancel());
        println!("join: {}", one.join().expect_err("not ours"));
        println!(
            "join_timeout: {}",
            other.join_timeout(Duration::MAX).expect_err("not ours")
        );
        refused("kill", process.kill());
        refused("terminate", process.terminate());
        println!(
            "join: {}",
            process.join_timeout(Duration::MAX).expect_err("not ours")
        );
        println!("exit status {:?}", process.exit_status());
        drop((other, process));
        refused("close", pool.close());
    });
    // Once more, for nothing but dropping.
    in_a_fork(|| drop(things.take()));
    let (pool, handles, process) = things.take().expect("still here");
    assert_eq!(pool.pids(), pids);
    assert!(
        pids.iter().all(|&pid| processes::is_alive(pid)),
        "nobody was killed"
    );
    assert!(handles.into_iter().all(|handle| handle.join() == Ok(300)));
    assert_eq!(process.join(), Ok(300));
    assert_eq!(pool.map(job!(square), 0..3).expect("results"), [0, 1, 4]);
    assert_eq!(
        pool.map(job!(pid), [()])
            .map(|found| pids.contains(&found[0]))
            .map_err(|error| error.kind()),
        Ok::<_, ErrorKind>(true)
    );
    pool.close().expect("an end");
}
