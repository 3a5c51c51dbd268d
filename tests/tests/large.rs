//! Workers killed while they write a large result.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::Duration;

use procession::{JobError, Pool, job, process_job};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, wait_for};

const LEN: usize = 64 << 20;

const PAGE: usize = 4096;

/// Each page has its number, so that none can be missing or moved.
fn bytes() -> Vec<u8> {
    let mut bytes = vec![0x5a; LEN];
    for (page, place) in bytes.chunks_exact_mut(PAGE).zip(0_u32..) {
        page[..4].copy_from_slice(&place.to_le_bytes());
    }
    bytes
}

/// Counted when the bytes are there, and nothing is left but to write them.
#[process_job]
fn gives_much(path: PathBuf) -> Vec<u8> {
    let bytes = bytes();
    Tally::count(&path);
    bytes
}

#[process_job]
fn same(x: u32) -> u32 {
    x
}

#[test]
fn a_worker_killed_while_it_writes_64_megabytes_loses_its_item_or_nothing() {
    let _test = begin();
    let truth = bytes();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(256 << 20)
        .build()
        .unwrap();
    let mut n_lost = 0;
    for round in 0..12 {
        let tally = Tally::new();
        let handle = pool.submit(job!(gives_much), tally.path()).unwrap();
        let behind = pool.submit(job!(same), round).unwrap();
        wait_for("it to have computed", || tally.runs() == 1);
        std::thread::sleep(Duration::from_millis(u64::from(round) * 2));
        for pid in pool.pids() {
            processes::send(pid, Signal::SIGKILL);
        }
        match handle.join() {
            Ok(bytes) => assert!(bytes == truth, "another result"),
            Err(JobError::Killed { signal: 9, .. }) => n_lost += 1,
            other => panic!("{other:?}"),
        }
        // Begun, over, or not begun when the worker was killed.
        assert!(matches!(
            behind.join(),
            Ok(_) | Err(JobError::Killed { signal: 9, .. })
        ));
        assert_eq!(tally.runs(), 1);
    }
    assert!(n_lost > 0, "never hit in the middle");
    assert_eq!(pool.map(job!(same), 0..10).unwrap().len(), 10);
}
