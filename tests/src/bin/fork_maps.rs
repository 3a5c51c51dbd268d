//! A program of one thread that maps closures in forks of itself: `fork_maps WHAT`.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::cell::{Cell, RefCell};
use std::fs;
use std::process::{abort, exit, id};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::Duration;

use procession::{
    Array, ErrorKind, JobError, Lock, Pool, Queue, Value, fork_map, fork_map_each, job, job_index,
    process_job,
};
use procession_tests::processes::{self, Signal};
use procession_tests::wait_for;
use serde::ser::Error as _;

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    match what.as_str() {
        "memory" => memory(),
        "table" => table(),
        "deaths" => deaths(),
        "panics" => panics(),
        "retries" => retries(),
        "time" => time(),
        "large" => large(),
        "drops" => drops(),
        "threads" => threads(),
        "nested" => nested(),
        "guards" => guards(),
        "handles" => handles(),
        "lent" => lent(),
        "bounds" => bounds(),
        "options" => options(),
        "results" => results(),
        "printing" => printing(),
        "again" => again(),
        "supervisor" => supervisor(),
        "sleeps" => sleeps(),
        other => panic!("what is {other:?}?"),
    }
}

/// What is borrowed, of one thread and of no serde is all there; what is written stays where it was written.
fn memory() {
    struct Opaque<'a> {
        name: &'a str,
        shared: Rc<RefCell<Vec<u32>>>,
    }
    let text = "memory".to_owned();
    let opaque = Opaque {
        name: &text,
        shared: Rc::new(RefCell::new(vec![5])),
    };
    let lazy = (0..10).filter(|number| number % 2 == 1);
    let results = Pool::builder().workers(1).fork_map(lazy, |number| {
        opaque.shared.borrow_mut().push(number);
        let sum: u32 = opaque.shared.borrow().iter().sum();
        format!("{} {number} {sum}", opaque.name)
    });
    println!("{:?}", results.expect("results"));
    println!("here {:?}", opaque.shared.borrow());
    let mut numbers = [1, 2, 3];
    let doubled = fork_map(&mut numbers, |number| {
        *number *= 2;
        *number
    });
    println!("there {:?}, here {numbers:?}", doubled.expect("results"));
}

/// Bytes that no other process has.
fn private_memory() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("/proc");
    let lines = rollup.lines().filter(|line| line.starts_with("Private_"));
    let kilobytes = lines.map(|line| {
        let number = line.split_whitespace().nth(1).expect("a number");
        number.parse::<u64>().expect("a number")
    });
    kilobytes.sum::<u64>() << 10
}

/// Each worker reads all of a table of 64 MiB, and none comes to have a copy of it.
fn table() {
    const LEN: u64 = 8 << 20;
    let table: Vec<u64> = (0..LEN).collect();
    let used = Pool::builder().workers(3).fork_map(0..3, |_| {
        let sum: u64 = table.iter().sum();
        (sum, private_memory(), id())
    });
    for (sum, private, _) in used.expect("results") {
        assert_eq!(sum, LEN * (LEN - 1) / 2);
        assert!(private < 16 << 20, "{private} bytes of its own");
    }
    let copied = fork_map([()], |()| {
        let before = private_memory();
        let copy = std::hint::black_box(table.clone());
        // Most of it: pages of files may have been dropped meanwhile.
        private_memory() - before > 6 * copy.len() as u64
    });
    println!("shared; a copy is seen: {:?}", copied.expect("a result"));
}

fn signal_of(verdict: &Result<u32, JobError>) -> Result<u32, i32> {
    match verdict {
        Ok(number) => Ok(*number),
        Err(JobError::Killed { signal, .. }) => Err(*signal),
        Err(JobError::Exited { code }) => Err(100 + code),
        Err(other) => panic!("{other:?}"),
    }
}

fn deaths() {
    let act = |number: u32| {
        match number % 10 {
            3 => processes::send(id(), Signal::SIGKILL),
            5 => abort(),
            7 => exit(9),
            8 => exit(0),
            _ => {}
        }
        number
    };
    let verdicts = Pool::builder().workers(2).fork_map_each(0..40, act);
    let verdicts: Vec<_> = verdicts.expect("verdicts").iter().map(signal_of).collect();
    let expected = (0..40).map(|number| match number % 10 {
        3 => Err(9),
        5 => Err(6),
        7 => Err(109),
        8 => Err(100),
        _ => Ok(number),
    });
    assert_eq!(verdicts, expected.collect::<Vec<_>>());
    let error = fork_map(0..10, act).expect_err("an item that kills its worker");
    assert!(matches!(
        error.job_error(),
        Some(JobError::Killed { signal: 9, .. })
    ));
    println!("{:?} {:?}", error.kind(), error.index());
}

/// After a panic the next item finds the memory as the program left it.
fn panics() {
    let n_before = Cell::new(0);
    let half_done = Mutex::new(0);
    let verdicts = Pool::builder().workers(1).fork_map_each(0..7, |number| {
        n_before.set(n_before.get() + 1);
        let _guard = half_done.lock().expect("nobody has panicked with it here");
        assert!(number % 3 != 2, "number {number}");
        n_before.get()
    });
    for verdict in verdicts.expect("verdicts") {
        match verdict {
            Ok(n_before) => println!("{n_before}"),
            Err(JobError::Panicked { message, .. }) => println!("panicked: {message}"),
            Err(other) => println!("{other:?}"),
        }
    }
    let error = fork_map(["a", "b"], |name| assert_eq!(name, "a")).expect_err("a panic");
    let text = error.to_string();
    println!(
        "{}",
        text.replace(|c: char| c.is_ascii_digit(), "")
            .lines()
            .next()
            .unwrap_or_default()
    );
}

/// An item that is tried again is whole again, though a try has used it up.
fn retries() {
    let n_runs =
        [Value::new(0_u32), Value::new(0), Value::new(0)].map(|made| made.expect("memory"));
    let items = ["returns", "panics", "dies"].map(String::from);
    let results = Pool::builder().workers(2).retries(2).fork_map(
        n_runs.iter().zip(items),
        |(n_runs, name)| {
            let n_before = n_runs.fetch_add(1);
            match name.as_str() {
                "panics" if n_before < 2 => panic!("again"),
                "dies" if n_before < 2 => abort(),
                _ => format!("{name} {n_before}"),
            }
        },
    );
    println!("{:?}", results.expect("results"));
}

fn time() {
    let limit = Duration::from_millis(300);
    let verdicts = Pool::builder()
        .workers(2)
        .timeout(limit)
        .fork_map_each(0..6, |number| {
            if number == 2 {
                std::thread::sleep(Duration::from_secs(1000));
            }
            number
        });
    let verdicts = verdicts.expect("verdicts");
    assert_eq!(verdicts[2], Err(JobError::TimedOut { limit }));
    println!("{} others", verdicts.iter().flatten().count());
}

fn large() {
    const LEN: usize = 5 << 20;
    let results = Pool::builder()
        .workers(2)
        .max_queued_bytes(1 << 20)
        .fork_map(0..8_u8, |number| vec![number; LEN]);
    for (number, result) in (0..).zip(results.expect("results")) {
        assert!(result.len() == LEN && result.iter().all(|&byte| byte == number));
    }
    println!("large results came");
}

/// Counts in shared memory how often it is dropped, in which process ever.
struct Counted<'a>(&'a Value<u32>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1);
    }
}

fn drops() {
    let made = || Value::new(0_u32).expect("memory");
    let (kept, captured, lent, owned) = (made(), made(), made(), made());
    let _kept = Counted(&kept);
    let moved_in = Counted(&captured);
    let lendable = [Counted(&lent), Counted(&lent)];
    let results = Pool::builder().workers(2).fork_map(&lendable, move |item| {
        // To the closure's last breath.
        let _ = &moved_in;
        item.0.get()
    });
    assert_eq!(results.expect("results"), [0, 0]);
    println!(
        "kept {}, captured {}, lent {}",
        kept.get(),
        captured.get(),
        lent.get()
    );
    drop(lendable);
    println!("lent, then dropped here {}", lent.get());
    let items: Vec<_> = (0..3).map(|_| Counted(&owned)).collect();
    let seen = Pool::builder()
        .workers(1)
        .fork_map(items, |item| item.0.get());
    println!(
        "owned {:?}, after all {}",
        seen.expect("results"),
        owned.get()
    );
    // Items that never ran are dropped here alone.
    let unborn = made();
    let items: Vec<_> = (0..5).map(|_| Counted(&unborn)).collect();
    let refused = Pool::builder().workers(0).fork_map(items, |_| ());
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::InvalidInput)
    );
    println!("unborn {}", unborn.get());
}

fn threads() {
    let (keep, wait) = channel::<()>();
    let thread = std::thread::spawn(move || wait.recv().is_err());
    let error = fork_map(0..3, |number| number).expect_err("a program with two threads");
    println!("{:?}: {error}", error.kind());
    drop(keep);
    thread.join().expect("no panic");
    println!(
        "{:?}",
        fork_map(0..3, |number| number + 1).expect("results")
    );
}

#[process_job]
fn maps_in_a_job(numbers: Vec<u64>) -> Vec<u64> {
    let factor = 3;
    fork_map(&numbers, |number| number * factor).expect("results in a job")
}

fn nested() {
    let pool = Pool::new(2).expect("a pool");
    let mapped = pool.map(job!(maps_in_a_job), [vec![1, 2], vec![3]]);
    println!("{:?}", mapped.expect("results"));
    let outer = 10;
    let mapped = fork_map(1..3_u64, |number| {
        let inner = outer * number;
        fork_map(0..3, |more| inner + more).expect("results in a fork map")
    });
    println!("{:?}", mapped.expect("results"));
    fn deeper(depth: u32) -> String {
        match fork_map([depth + 1], deeper) {
            Ok(mut said) => said.remove(0),
            Err(error) => format!("{depth}: {:?}", error.kind()),
        }
    }
    println!("{}", deeper(0));
}

/// Copies of the program's guards unlock nothing, write nothing and reach no array.
fn guards() {
    let lock = Lock::new().expect("memory");
    let value = Value::new(1_u64).expect("memory");
    let array = Array::<u64>::zeroed(4).expect("memory");
    let held = lock.acquire().expect("nobody has it");
    let mut of_value = value.lock().expect("nobody has it");
    *of_value = 2;
    let of_array = array.lock().expect("nobody has it");
    let is_free = || {
        let of_lock = lock.try_acquire().expect("nobody died");
        let of_value = value.try_lock().expect("nobody died");
        let of_array = array.try_lock().expect("nobody died");
        [of_lock.is_some(), of_value.is_some(), of_array.is_some()]
    };
    // The first item's closure drops all guards in its copy, and each item then looks whether the locks are free.
    let guards = RefCell::new(Some((held, of_value, of_array)));
    let looked = Pool::builder().workers(1).fork_map(0..2, |_| {
        drop(guards.borrow_mut().take());
        is_free()
    });
    println!("free {:?}", looked.expect("results"));
    let elements = |()| guards.borrow().as_ref().map(|(_, _, of_array)| of_array[0]);
    let verdicts = fork_map_each([()], elements).expect("verdicts");
    assert_panicked(
        &verdicts[0],
        "this guard of an array belongs to the process",
    );
    // As an item it is dropped in the worker, and here.
    let looked = fork_map(guards.into_inner(), |guards| {
        drop(guards);
        is_free()
    });
    println!("free {:?}", looked.expect("results"));
    let looked = fork_map([()], |()| is_free());
    println!("then {:?}, value {}", looked.expect("results"), value.get());

    let chunks = array.into_chunks(2).expect("nobody else has it");
    let verdicts = fork_map_each(&chunks, |chunk| chunk[0]).expect("verdicts");
    assert_panicked(&verdicts[0], "from which this one was forked");
    let write = |mut chunk: procession::ArrayChunk<u64>| chunk[0] = 7;
    let verdicts = fork_map_each(chunks, write).expect("verdicts");
    assert_panicked(&verdicts[1], "from which this one was forked");
}

/// What is borrowed of an array's elements is not there before the array is frozen, and nothing else stands in its place.
fn lent() {
    let len = 1 << 18;
    let array = Array::<u64>::zeroed(len).expect("memory");
    let mut guard = array.lock().expect("nobody has it");
    let elements = RefCell::new(&mut guard[..]);
    let verdicts = fork_map_each(0..2, |place| {
        // The kernel fills a gap from its end.
        let own: Vec<Vec<u64>> = (0..64).map(|_| vec![1; len / 8]).collect();
        elements.borrow_mut()[len - len / 16] = place;
        own.len() as u32
    });
    let signals: Vec<_> = verdicts.expect("verdicts").iter().map(signal_of).collect();
    println!("{signals:?}");
    drop(guard);
    println!("{}", array.to_vec().iter().sum::<u64>());
    let frozen = array.freeze().expect("alone again");
    let elements: &[u64] = &frozen;
    println!("{:?}", fork_map(0..2, |place| elements[place]));
}

fn assert_panicked<T: std::fmt::Debug>(verdict: &Result<T, JobError>, with: &str) {
    let is_panic = |message: &str| message.contains(with);
    assert!(
        matches!(verdict, Err(JobError::Panicked { message, .. }) if is_panic(message)),
        "{verdict:?}"
    );
}

/// What is shared is shared with these workers, too; and the caller is alone with it when they are gone.
fn handles() {
    let sum = Value::new(0_u64).expect("memory");
    let count = Value::new(0_u32).expect("memory");
    let array = Array::<u64>::zeroed(8).expect("memory");
    let queue = Queue::new().expect("memory");
    let handles: Vec<_> = (0..8).map(|place| (place, sum.clone())).collect();
    let made = fork_map(handles, |(place, sum)| {
        sum.fetch_add(place);
        count.fetch_add(1);
        array.set(place as usize, place * place);
        queue.put(place).expect("a message");
        Array::new([place]).expect("memory")
    });
    let made: u64 = made
        .expect("handles")
        .iter()
        .map(|array| array.to_vec()[0])
        .sum();
    let mut messages: Vec<u64> = (0..8).map(|_| queue.get().expect("a message")).collect();
    messages.sort_unstable();
    println!("{} {} {made} {messages:?}", sum.get(), count.get());
    let mut chunks = array.into_chunks(2).expect("alone again");
    chunks[0][0] = 1;
    let slice = Array::from_chunks(chunks).and_then(Array::freeze);
    println!("{:?}", &slice.expect("alone again")[..]);
}

/// No item, fewer items than workers, and what cannot be meant.
fn bounds() {
    let nothing: [u32; 0] = [];
    println!(
        "{:?}",
        fork_map(nothing, |number| number).expect("no results")
    );
    let pids = Pool::builder().workers(64).fork_map(0..2, |_| {
        let siblings = processes::below(std::os::unix::process::parent_id());
        siblings.len()
    });
    println!("{:?}", pids.expect("results"));
    let refused = |builder: procession::PoolBuilder| {
        let error = builder.fork_map([()], |()| ()).expect_err("a mistake");
        println!("{:?}: {error}", error.kind());
    };
    refused(Pool::builder().workers(0));
    refused(Pool::builder().workers(1025));
    refused(Pool::builder().timeout(Duration::ZERO));
    let places = fork_map(0..100_u64, |number| (number, job_index())).expect("results");
    assert!(places.iter().all(|&(number, index)| index == Some(number)));
    assert_eq!(job_index(), None);
    let numbers = Pool::builder()
        .workers(2)
        .fork_map(0..100_000_u64, |number| number ^ 1);
    assert!(
        numbers
            .expect("results")
            .into_iter()
            .eq((0..100_000).map(|number| number ^ 1))
    );
}

static FILLED: AtomicU32 = AtomicU32::new(0);

#[process_job]
fn fill(number: u32) {
    FILLED.fetch_add(number, Relaxed);
}

/// The builder's options hold for these workers, too, and for those that replace others.
fn options() {
    FILLED.store(1, Relaxed);
    let builder = Pool::builder()
        .workers(1)
        .name("forked")
        .memory_limit(32 << 20);
    let verdicts = builder
        .initializer(job!(fill), 10)
        .fork_map_each(0..4_u32, |number| {
            if number == 1 {
                abort();
            }
            let eaten = (number == 2).then(|| vec![1_u8; 64 << 20]);
            std::thread::sleep(Duration::from_millis(if eaten.is_some() {
                100_000
            } else {
                0
            }));
            format!("{} {}", processes::name_of(id()), FILLED.load(Relaxed))
        });
    let limit = 32 << 20;
    let verdicts = verdicts.expect("verdicts");
    assert_eq!(verdicts[2], Err(JobError::MemoryExceeded { limit }));
    println!("{:?}", verdicts.iter().flatten().collect::<Vec<_>>());
}

/// Cannot travel.
#[derive(Debug, serde::Deserialize)]
struct Stuck;

impl serde::Serialize for Stuck {
    fn serialize<S: serde::Serializer>(&self, _to: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("it is stuck"))
    }
}

fn results() {
    let result = |number| (number == 1).then_some(Stuck);
    let verdicts = fork_map_each(0..3, result).expect("verdicts");
    let kinds = verdicts.iter().map(|verdict| match verdict {
        Ok(None) => "travels".to_owned(),
        Err(JobError::Codec { message }) => message.clone(),
        other => panic!("{other:?}"),
    });
    println!("{:?}", kinds.collect::<Vec<_>>());
    let fails = |number: u32| {
        if number == 2 {
            Err("no two".to_owned())
        } else {
            Ok(number)
        }
    };
    println!("{:?}", fork_map(1..4, fails).expect("results"));
}

/// What the program had buffered is written once, what the items print once each.
fn printing() {
    print!("[before]");
    fork_map(0..3, |number| print!("[item {number}]")).expect("results");
    let output = std::io::stdout().lock();
    fork_map(3..5, |number| print!("[item {number}]")).expect("results");
    drop(output);
    println!("[after]");
}

/// Nothing is left of a map.
fn again() {
    let belongings = || {
        let n_files = fs::read_dir("/proc/self/fd").expect("/proc").count();
        let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
        (
            n_files,
            maps.matches("memfd:").count(),
            processes::zombies_of(id()),
        )
    };
    let map = |round: u32| {
        let each = |number| if number == 3 { exit(1) } else { number + round };
        fork_map_each(0..6, each)
            .expect("verdicts")
            .iter()
            .flatten()
            .sum::<u32>()
    };
    map(0);
    let before = belongings();
    let sums: u32 = (0..20).map(map).sum();
    wait_for("all that a map had", || belongings() == before);
    println!("{sums}");
}

fn supervisor() {
    let kill = |number: u32| {
        if number == 1 {
            processes::send(std::os::unix::process::parent_id(), Signal::SIGKILL);
            std::thread::sleep(Duration::from_secs(1000));
        }
        number
    };
    let verdicts = Pool::builder().workers(1).fork_map_each(0..3, kill);
    match &verdicts.expect("verdicts")[1] {
        Err(JobError::Lost { reason, .. }) => println!("lost: {reason}"),
        other => println!("{other:?}"),
    }
}

/// Says so and waits to be killed.
fn sleeps() {
    let pool = Pool::builder().workers(2);
    let verdicts = pool.fork_map_each(0..2, |_| {
        println!("begun");
        std::thread::sleep(Duration::from_secs(1000));
    });
    verdicts.expect("verdicts");
}
