//! One face over processes, threads and the caller: the same results, the same mistakes.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use procession::{
    AnyExecutor, ErrorKind, Executor, ExecutorKind, InlineExecutor, JobError, Queue,
    ThreadExecutor, Value, job, job_index, pool_map, process_job,
};
use procession_tests::{Tally, begin, wait_for};
use serde::{Deserialize, Serialize};

const KINDS: [ExecutorKind; 3] = [
    ExecutorKind::Process,
    ExecutorKind::Thread,
    ExecutorKind::Inline,
];

fn each() -> impl Iterator<Item = (ExecutorKind, AnyExecutor)> {
    KINDS.into_iter().map(|kind| {
        let executor = AnyExecutor::builder().kind(kind).workers(2).build();
        (kind, executor.unwrap())
    })
}

#[process_job]
fn repeat(word: &str, times: usize) -> String {
    word.repeat(times)
}

#[process_job]
fn sum(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

#[process_job]
fn index() -> Option<u64> {
    job_index()
}

#[process_job]
fn nothing() {}

#[process_job]
fn bump(counter: &Value<u64>, by: u64) -> Value<u64> {
    counter.fetch_add(by);
    counter.clone()
}

#[process_job]
fn counted(path: PathBuf, x: u32) -> u32 {
    Tally::count(&path);
    assert_ne!(x, 2, "two of {x}");
    x
}

#[process_job(retries = 2)]
fn fails_twice(path: PathBuf) -> u64 {
    Tally::count(&path);
    let runs = std::fs::metadata(&path).unwrap().len();
    assert!(runs.is_multiple_of(3), "try {runs}");
    runs
}

#[process_job(state)]
fn borrows(word: &mut Option<u8>) -> bool {
    word.is_some()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    x: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

fn flat() -> Flat {
    Flat {
        x: 1,
        rest: BTreeMap::new(),
    }
}

#[process_job]
fn takes(flat: Flat) -> u8 {
    flat.x
}

#[process_job]
fn gives() -> Flat {
    flat()
}

#[test]
fn a_job_gives_the_same_results_everywhere() {
    let _test = begin();
    for (kind, executor) in each() {
        assert_eq!(executor.kind(), kind);
        let words = (0..50).map(|times| ("ha", times));
        let expected: Vec<String> = (0..50).map(|times| "ha".repeat(times)).collect();
        assert_eq!(executor.map(job!(repeat), words).unwrap(), expected);
        let lists = [vec![1.0, 2.5], vec![], vec![0.25; 40_000]];
        assert_eq!(executor.map(job!(sum), &lists).unwrap(), [3.5, 0.0, 1e4]);
        let indices: Vec<_> = (0..20).map(Some).collect();
        assert_eq!(executor.map(job!(index), [(); 20]).unwrap(), indices);
        assert_eq!(executor.submit(job!(index), ()).unwrap().join(), Ok(None));
        assert_eq!(executor.map(job!(nothing), [(); 3]).unwrap(), [(), (), ()]);
        let none: [(&str, usize); 0] = [];
        assert_eq!(executor.map(job!(repeat), none).unwrap(), [""; 0]);
    }
    assert_eq!(job_index(), None);
}

#[test]
fn shared_memory_goes_there_and_comes_back() {
    let _test = begin();
    for (kind, executor) in each() {
        let counter = Value::new(0_u64).unwrap();
        let items = (0..10).map(|by| (counter.clone(), by));
        let values = executor.map(job!(bump), items).unwrap();
        assert_eq!(counter.get(), 45, "{kind:?}");
        counter.set(7);
        assert!(values.iter().all(|value| value.get() == 7));
    }
}

#[test]
fn a_panic_is_the_failure_of_its_item_everywhere() {
    let _test = begin();
    for (kind, executor) in each() {
        let tally = Tally::new();
        let items = || (0..5).map(|x| (tally.path(), x));
        let verdicts = executor.map_each(job!(counted), items()).unwrap();
        for (x, verdict) in (0..5).zip(verdicts) {
            match verdict {
                Ok(result) => assert_eq!(result, x),
                Err(JobError::Panicked {
                    message, location, ..
                }) => {
                    assert!(message.contains("two of 2"), "{message}");
                    assert!(location.contains("executors.rs"), "{kind:?}: {location:?}");
                    assert_eq!(x, 2);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(tally.runs(), 5);
        let error = executor.map(job!(counted), items()).unwrap_err();
        assert_eq!((error.kind(), error.index()), (ErrorKind::Job, Some(2)));
        assert_eq!(error.job(), Some("counted"));
    }
}

#[test]
fn the_caller_may_run_jobs_in_a_destructor_while_it_panics() {
    struct RunsAtItsEnd;
    impl Drop for RunsAtItsEnd {
        fn drop(&mut self) {
            let words = InlineExecutor::new().map(job!(repeat), [("ab", 2)]);
            assert_eq!(words.unwrap(), ["abab"]);
        }
    }

    let _test = begin();
    let panicked = std::panic::catch_unwind(|| {
        let _runs = RunsAtItsEnd;
        panic!("on purpose");
    });
    assert!(panicked.is_err());
}

#[test]
fn a_map_takes_no_more_items_once_one_has_failed() {
    let _test = begin();
    for (kind, executor) in each() {
        let tally = Tally::new();
        let items = (0..).map(|x| (tally.path(), x));
        let error = executor.map(job!(counted), items).unwrap_err();
        assert_eq!(error.index(), Some(2), "{kind:?}");
    }
}

#[test]
fn retries_of_a_job_are_kept() {
    let _test = begin();
    for (kind, executor) in each() {
        let tally = Tally::new();
        let result = executor.submit(job!(fails_twice), tally.path()).unwrap();
        assert_eq!(result.join(), Ok(3), "{kind:?}");
    }
}

#[test]
fn what_cannot_cross_to_a_process_crosses_nowhere() {
    let _test = begin();
    let mut said = Vec::new();
    for (_, executor) in each() {
        let sent = executor.map(job!(takes), [flat()]).unwrap_err();
        let submitted = executor.submit(job!(takes), flat()).map(drop).unwrap_err();
        let given = executor.map_each(job!(gives), [()]).unwrap();
        assert!(
            matches!(given[..], [Err(JobError::Codec { .. })]),
            "{given:?}"
        );
        let errors = [sent.job_error(), submitted.job_error()].map(Option::unwrap);
        assert!(
            errors
                .iter()
                .all(|error| matches!(error, JobError::Codec { .. }))
        );
        said.push((sent.job_error().cloned(), given));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[test]
fn a_job_with_a_state_is_refused_where_there_is_none() {
    let _test = begin();
    for (_, executor) in each() {
        let errors = [
            executor.map(job!(borrows), [()]).map(drop),
            executor.map_each(job!(borrows), [(); 0]).map(drop),
            executor.submit(job!(borrows), ()).map(drop),
        ];
        for error in errors.map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("borrows a state"), "{error}");
        }
    }
}

#[process_job]
fn waits_for_a_word(words: &Queue<u8>) -> u8 {
    words.get().unwrap()
}

#[test]
fn a_handle_waits_cancels_and_gives_once() {
    let _test = begin();
    let threads = ThreadExecutor::new(1).unwrap();
    let words = Queue::new().unwrap();
    let mut running = threads
        .submit(job!(waits_for_a_word), words.clone())
        .unwrap();
    let queued = threads
        .submit(job!(waits_for_a_word), words.clone())
        .unwrap();
    let millisecond = Duration::from_millis(1);
    assert_eq!(running.join_timeout(millisecond), Ok(None));
    assert!(!queued.is_finished() && queued.cancel() && queued.is_finished());
    assert_eq!(queued.join(), Err(JobError::Cancelled));
    words.put(9).unwrap();
    let result = loop {
        if let Some(result) = running.join_timeout(millisecond).unwrap() {
            break result;
        }
    };
    assert_eq!(result, 9);
    assert!(!running.cancel());
    let again = running.join_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(again, JobError::Lost { .. }), "{again:?}");
    // Too long for any clock is for ever.
    let mut other = threads
        .submit(job!(waits_for_a_word), words.clone())
        .unwrap();
    words.put(3).unwrap();
    assert_eq!(other.join_timeout(Duration::MAX), Ok(Some(3)));
    threads.close();
}

#[test]
fn a_dropped_executor_of_threads_cancels_what_waits_and_waits_for_what_runs() {
    let _test = begin();
    let threads = ThreadExecutor::new(1).unwrap();
    let (begun, words) = (Queue::new().unwrap(), Queue::new().unwrap());
    let running = threads
        .submit(job!(tells_and_waits), (begun.clone(), words.clone()))
        .unwrap();
    let queued = threads
        .submit(job!(waits_for_a_word), words.clone())
        .unwrap();
    begun.get().unwrap();
    let ending = std::thread::spawn(move || drop(threads));
    assert_eq!(queued.join(), Err(JobError::Cancelled));
    assert!(!running.is_finished());
    words.put(4).unwrap();
    ending.join().unwrap();
    assert_eq!(running.join(), Ok(4));
}

#[process_job]
fn tells_and_waits(begun: &Queue<()>, words: &Queue<u8>) -> u8 {
    begun.put(()).unwrap();
    words.get().unwrap()
}

#[test]
fn threads_run_jobs_at_the_same_time() {
    let _test = begin();
    let threads = ThreadExecutor::new(3).unwrap();
    assert_eq!(threads.workers(), 3);
    let words = Queue::new().unwrap();
    let handles: Vec<_> = (0..3)
        .map(|_| threads.submit(job!(meets), words.clone()).unwrap())
        .collect();
    wait_for("all three", || words.len() == 3);
    words.close();
    for handle in handles {
        handle.join().unwrap();
    }
}

static N_HERE: AtomicU32 = AtomicU32::new(0);

#[process_job]
fn meets(words: &Queue<u8>) {
    N_HERE.fetch_add(1, Ordering::SeqCst);
    while N_HERE.load(Ordering::SeqCst) < 3 {
        std::thread::yield_now();
    }
    words.put(1).unwrap();
}

static OWN: LazyLock<ThreadExecutor> = LazyLock::new(|| ThreadExecutor::new(2).unwrap());

/// The nodes of a binary tree of this height, each counted by a job that waits for two others.
#[process_job]
fn nodes(height: u32) -> u32 {
    if height == 0 {
        return 1;
    }
    let left = OWN.submit(job!(nodes), height - 1).unwrap();
    let right = OWN.map(job!(nodes), [height - 1]).unwrap();
    1 + left.join().unwrap() + right[0]
}

#[test]
fn jobs_join_jobs_of_their_own_executor_of_threads() {
    let _test = begin();
    assert_eq!(OWN.submit(job!(nodes), 8).unwrap().join(), Ok(511));
}

static ENDED_BY_ITS_JOB: Mutex<Option<ThreadExecutor>> = Mutex::new(None);

#[process_job]
fn ends_its_own_executor(begun: &Queue<()>, closes: bool) -> bool {
    begun.get().unwrap();
    let own = ENDED_BY_ITS_JOB.lock().unwrap().take().unwrap();
    match closes {
        true => own.close(),
        false => drop(own),
    }
    true
}

#[test]
fn an_executor_of_threads_may_be_ended_by_its_own_job() {
    let _test = begin();
    for (closes, fate) in [(true, Ok(())), (false, Err(JobError::Cancelled))] {
        let threads = ThreadExecutor::new(1).unwrap();
        let begun = Queue::new().unwrap();
        let ends = threads.submit(job!(ends_its_own_executor), (begun.clone(), closes));
        let waits = threads.submit(job!(nothing), ()).unwrap();
        *ENDED_BY_ITS_JOB.lock().unwrap() = Some(threads);
        begun.put(()).unwrap();
        assert_eq!(ends.unwrap().join(), Ok(true));
        assert_eq!(waits.join(), fate, "closes: {closes}");
    }
}

#[test]
fn no_workers_are_refused_everywhere_in_the_same_words() {
    let _test = begin();
    for kind in KINDS {
        for workers in [0, 2000] {
            let refused = AnyExecutor::builder().kind(kind).workers(workers).build();
            assert_eq!(
                refused.unwrap_err().to_string(),
                format!("an executor needs 1 to 1024 workers, not {workers}"),
                "{kind:?}"
            );
        }
    }
}

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

/// Run as a program of its own by the test below.
#[test]
#[ignore = "the part of another test that runs in another environment"]
fn says_where_jobs_run() {
    let refused = pool_map!(pid, [()], timeout = Duration::ZERO).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let executor = AnyExecutor::new();
    let kind = executor.as_ref().map(AnyExecutor::kind);
    let mapped = pool_map!(pid, [()]);
    let is_here = mapped.as_ref().map(|pids| pids[0] == std::process::id());
    match (kind, is_here) {
        (Ok(kind), Ok(is_here)) => println!("<{kind:?} {is_here}>"),
        (Err(error), Err(other)) => {
            assert_eq!(error.to_string(), other.to_string());
            println!("<{error}>");
        }
        other => panic!("{other:?}"),
    }
}

/// Run as a program of its own by the test below.
#[test]
#[ignore = "the part of another test that runs in another environment"]
fn tells_of_a_panic() {
    for (_, executor) in each() {
        let words = [(PathBuf::from("/dev/null"), 2)];
        match executor.map_each(job!(counted), words).unwrap().remove(0) {
            Err(JobError::Panicked { backtrace, .. }) => println!("begin\n{backtrace}end"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_panics_backtrace_has_the_job_in_it_and_little_else() {
    let _test = begin();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "tells_of_a_panic", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "1")
        .env_remove("RUST_LIB_BACKTRACE");
    let output = command.output().unwrap();
    let (told, printed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}{printed}");
    let told: Vec<_> = told
        .split("begin\n")
        .skip(1)
        .filter_map(|rest| rest.split("end\n").next())
        .collect();
    let printed: Vec<_> = printed.split("stack backtrace:").skip(1).collect();
    assert_eq!((told.len(), printed.len()), (KINDS.len(), KINDS.len()));
    for backtrace in told.into_iter().chain(printed) {
        assert!(backtrace.contains("executors::counted"), "{backtrace}");
        for far in [
            "install_panic_hook",
            "procession::supervisor",
            "executors::tells_of_a_panic",
            "_start",
        ] {
            assert!(!backtrace.contains(far), "{far}:\n{backtrace}");
        }
    }
}

#[test]
fn the_environment_chooses() {
    let _test = begin();
    let bad =
        "PROCESSION_EXECUTOR is \"threads\": give it `process`, `thread` or `inline`, or unset it";
    for (word, expected) in [
        (None, "Process false"),
        (Some("process"), "Process false"),
        (Some("thread"), "Thread true"),
        (Some("inline"), "Inline true"),
        (Some(""), "Process false"),
        (Some("threads"), bad),
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "says_where_jobs_run", "--ignored", "--nocapture"])
            .env_remove("PROCESSION_EXECUTOR");
        if let Some(word) = word {
            command.env("PROCESSION_EXECUTOR", word);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("<{expected}>")), "{word:?}: {text}");
    }
}
