//! Values that fail on their way between program and worker: one item's affair.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::Duration;

use procession::{JobError, Pool, job, pool_map, process_job, worker_index};
use procession_tests::{Tally, begin};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, PartialEq)]
struct Moody(u32);

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            1 => panic!("no writing of {}", self.0),
            2 => Err(serde::ser::Error::custom("it cannot be written")),
            3 => std::process::abort(),
            _ => serializer.serialize_u32(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            11 => panic!("no reading of 11"),
            12 => Err(serde::de::Error::custom("it cannot be read")),
            13 => std::process::abort(),
            number => Ok(Self(number)),
        }
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        if self.0 == 21 && in_worker() {
            panic!("no dropping of 21");
        }
    }
}

/// Whether this is a worker of the test program.
fn in_worker() -> bool {
    worker_index().is_some()
}

#[process_job]
fn makes_moody(number: u32) -> Moody {
    Moody(number)
}

#[process_job]
fn takes_moody(moody: Moody) -> u32 {
    moody.0
}

#[process_job]
fn lends_moody(moody: &Moody) -> u32 {
    moody.0
}

#[test]
fn results_that_fail_on_their_way_are_one_items_affair() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let verdicts = pool
        .map_each(job!(makes_moody), [0, 1, 2, 3, 4, 12, 21, 5])
        .unwrap();
    assert_eq!(verdicts[0], Ok(Moody(0)));
    assert!(
        matches!(&verdicts[1], Err(JobError::Panicked { message, .. }) if message == "no writing of 1")
    );
    assert!(
        matches!(&verdicts[2], Err(JobError::Codec { message }) if message.contains("it cannot be written"))
    );
    assert!(matches!(
        &verdicts[3],
        Err(JobError::Killed { signal: 6, .. })
    ));
    assert_eq!(verdicts[4], Ok(Moody(4)));
    assert!(
        matches!(&verdicts[5], Err(JobError::Codec { message }) if message.contains("it cannot be read"))
    );
    // Its result had arrived when the drop panicked.
    assert!(
        matches!(&verdicts[6], Ok(Moody(21)) | Err(JobError::Panicked { .. })),
        "{:?}",
        verdicts[6]
    );
    assert_eq!(verdicts[7], Ok(Moody(5)));
}

#[test]
fn arguments_that_fail_on_their_way_are_one_items_affair() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let items = || [0, 2, 11, 12, 13, 4, 5].map(Moody);
    for verdicts in [
        pool.map_each(job!(takes_moody), items()).unwrap(),
        pool.map_each(job!(lends_moody), items()).unwrap(),
    ] {
        assert_eq!(verdicts[0], Ok(0));
        assert!(
            matches!(&verdicts[1], Err(JobError::Codec { message }) if message.contains("it cannot be written"))
        );
        assert!(
            matches!(&verdicts[2], Err(JobError::Panicked { message, .. }) if message == "no reading of 11")
        );
        assert!(
            matches!(&verdicts[3], Err(JobError::Codec { message }) if message.contains("it cannot be read"))
        );
        assert!(matches!(
            &verdicts[4],
            Err(JobError::Killed { signal: 6, .. })
        ));
        assert_eq!((&verdicts[5], &verdicts[6]), (&Ok(4), &Ok(5)));
    }
    let error = pool.submit(job!(takes_moody), Moody(2)).unwrap_err();
    assert!(
        matches!(error.job_error(), Some(JobError::Codec { .. })),
        "{error}"
    );
}

#[process_job]
fn counted_moody(path: PathBuf, millis: u64, _moody: Moody) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
}

#[test]
fn nothing_behind_an_item_that_cannot_be_sent_runs() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let item = |millis, moody| (tally.path(), millis, Moody(moody));
    // While the first item runs, the other worker has nothing to do.
    let items = [item(300, 0), item(0, 2), item(0, 4), item(0, 5)];
    let error = pool_map!(in pool, counted_moody, items, chunk_size = 4).unwrap_err();
    assert_eq!(error.index(), Some(1));
    assert_eq!(tally.runs(), 1);
}

#[test]
fn a_panic_in_the_program_while_it_encodes_or_decodes_leaves_the_pool_well() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    for _ in 0..3 {
        let fails = |run: &dyn Fn()| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err()
        };
        fails(&|| drop(pool.map(job!(takes_moody), [Moody(0), Moody(1)])));
        fails(&|| drop(pool.map(job!(makes_moody), [4, 11, 5])));
        fails(&|| drop(pool.map_each(job!(makes_moody), [4, 11, 5])));
        fails(&|| drop(pool.submit(job!(takes_moody), Moody(1))));
        fails(&|| drop(pool.submit(job!(makes_moody), 11).unwrap().join()));
        assert_eq!(
            pool.map(job!(makes_moody), [4, 5]).unwrap(),
            [Moody(4), Moody(5)]
        );
    }
    pool.close().unwrap();
}
