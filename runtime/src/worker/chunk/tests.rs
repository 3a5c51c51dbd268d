use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::Array;
use crate::board::{Layout, TaskIndex, WorkerIndex};
use crate::sys::testing::in_child;

type Results = (Vec<Array<u8>>, Vec<u8>);

/// A board with one task, whose input is followed by its room.
fn board_with_a_task(n_items: u32, input: &[u8]) -> Board {
    let layout = Layout {
        n_workers: 1,
        n_tasks: 1,
        setup_len: 0,
        arena_len: 4096,
        region_len: 4096,
    };
    let (board, _file) = Board::create(layout).unwrap();
    let (row, arena, len) = (&board.tasks()[0], layout.arena(), input.len() as u64);
    assert!(board.write(arena.offset, input));
    row.input_offset.store(arena.offset, Ordering::Relaxed);
    row.input_len.store(len, Ordering::Relaxed);
    let room_offset = row.room().offset;
    row.room_len
        .store(arena.offset + arena.len - room_offset, Ordering::Relaxed);
    row.n_items.store(n_items, Ordering::Relaxed);
    board
}

fn chunk_on(board: &Board, quota: u64) -> Chunk<'_> {
    let id = TaskId {
        index: TaskIndex(0),
        generation: 0,
    };
    let log = board.worker_log(WorkerIndex(0)).unwrap();
    Chunk::new(board, &board.workers()[0], log, id, 77, quota).unwrap()
}

/// Items begun, items done.
fn account(board: &Board) -> (u32, u32) {
    let progress = &board.tasks()[0].progress;
    let [started, done] =
        [&progress.started, &progress.done].map(|word| word.load(Ordering::Relaxed));
    (started, done)
}

#[test]
fn the_account_is_exact_while_an_item_runs_after_it_and_where_it_panics() {
    let inputs = [10_u64, 11, 12, 13];
    let board = board_with_a_task(4, bytemuck::cast_slice(&inputs));
    let mut chunk = chunk_on(&board, 4);
    let call = |from: &mut Decoder<'_>| {
        let x: u64 = from.value()?;
        assert_eq!(account(&board), (x as u32 - 9, x as u32 - 10));
        assert_ne!(x, 12);
        Ok(x * x)
    };
    let run = |chunk: &mut Chunk<'_>| {
        catch_unwind(AssertUnwindSafe(|| chunk.run(Some(8), call))).is_err()
    };
    assert!(run(&mut chunk));
    assert_eq!(account(&board), (3, 2));
    chunk.put_panic(&PanicReport::default());
    assert_eq!(account(&board), (3, 3));
    assert!(!run(&mut chunk) && chunk.is_over());
    assert_eq!((account(&board), chunk.quota()), ((4, 4), 0));
    let room = Room::new(chunk.room, 4, Some(8));
    let results = [0, 1, 3].map(|item| {
        let [word] = board.words::<1>(room.cell(item).offset).unwrap();
        word.load(Ordering::Relaxed)
    });
    assert_eq!(results, [100, 121, 169]);
}

#[test]
fn a_worker_begins_no_item_beyond_its_quota_nor_after_a_stop() {
    let inputs = [1_u64, 2, 3, 4];
    let board = board_with_a_task(4, bytemuck::cast_slice(&inputs));
    let mut chunk = chunk_on(&board, 2);
    chunk.run(Some(8), |from| from.value::<u64>());
    assert_eq!((account(&board), chunk.is_over()), ((2, 2), false));
    let mut next = chunk_on(&board, 4);
    next.run(Some(8), |from| {
        let x = from.value::<u64>()?;
        board.tasks()[0].progress.stop.store(1, Ordering::Relaxed);
        assert_eq!(x, 3, "it goes on where the other ended");
        Ok(x)
    });
    assert_eq!((account(&board), next.is_over()), ((3, 3), true));
}

/// Items whose input has a fixed size, and such that are found one behind the other.
#[test]
fn after_a_panic_the_same_item_or_the_next_one_is_read_and_each_try_counts() {
    for fixed_input in [Some(8), None] {
        let mut encoder = Encoder::with_buffer(Vec::new());
        for x in &[10_u64, 11, 12, 13] {
            encoder.begin_item(fixed_input);
            encoder.value(x).unwrap();
            encoder.end_item().unwrap();
        }
        let input: Vec<u8> = encoder.chunks().flatten().copied().collect();
        let board = board_with_a_task(4, &input);
        board.tasks()[0].retries.store(1, Ordering::Relaxed);
        let mut chunk = chunk_on(&board, 7);
        let mut seen = Vec::new();
        let mut call = |from: &mut Decoder<'_>| {
            let x: u64 = from.value()?;
            seen.push(x);
            assert!(x != 11 || seen.len() > 2, "its first try");
            assert_ne!(x, 12);
            Ok(x)
        };
        let mut run = |chunk: &mut Chunk<'_>| {
            catch_unwind(AssertUnwindSafe(|| chunk.run(fixed_input, &mut call)))
        };
        for _ in 0..3 {
            assert!(run(&mut chunk).is_err());
            chunk.put_panic(&PanicReport::default());
        }
        assert!(run(&mut chunk).is_ok());
        assert_eq!(seen, [10, 11, 11, 12, 12, 13], "{fixed_input:?}");
        assert_eq!((account(&board), chunk.is_over()), ((4, 4), true));
        assert_eq!((chunk.n_panics(), chunk.quota()), (3, 1));
    }
}

#[test]
fn who_is_to_begin_no_more_keeps_its_quota_and_begins_nothing() {
    let board = board_with_a_task(2, bytemuck::cast_slice(&[1_u64, 2]));
    let mut chunk = chunk_on(&board, 5);
    chunk.begin_no_more();
    chunk.run(Some(8), |from| from.value::<u64>());
    assert_eq!((account(&board), chunk.is_over()), ((0, 0), false));
    assert_eq!(chunk.quota(), 5);
}

/// Nobody who keeps to the protocol writes these words but this worker.
#[test]
fn a_task_comes_to_its_end_whatever_was_written_over_its_account() {
    let board = board_with_a_task(3, bytemuck::cast_slice(&[1_u64, 2, 3]));
    let progress = &board.tasks()[0].progress;
    let write_over = || {
        progress.started.store(0, Ordering::Relaxed);
        progress.done.store(0, Ordering::Relaxed);
    };
    let mut chunk = chunk_on(&board, 10);
    chunk.run(Some(8), |from| from.value::<u64>());
    write_over();
    assert!(chunk.is_over(), "it has counted them itself");
    assert_eq!(chunk.quota(), 7);
    let mut chunk = chunk_on(&board, u64::MAX);
    let mut call = |from: &mut Decoder<'_>| -> Result<u64, CodecError> {
        from.value::<u64>()?;
        write_over();
        panic!("a job gone mad");
    };
    let mut n_panics = 0;
    while n_panics < 10 && catch_unwind(AssertUnwindSafe(|| chunk.run(Some(8), &mut call))).is_err()
    {
        chunk.put_panic(&PanicReport::default());
        n_panics += 1;
    }
    assert_eq!((n_panics, chunk.is_over()), (3, true));
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a result's destructor");
    }
}

#[test]
fn a_result_that_is_stored_stays_whatever_its_destructor_does() {
    let board = board_with_a_task(3, bytemuck::cast_slice(&[1_u64, 2, 3]));
    board.tasks()[0].retries.store(9, Ordering::Relaxed);
    let mut chunk = chunk_on(&board, 9);
    let run = |chunk: &mut Chunk<'_>| {
        catch_unwind(AssertUnwindSafe(|| chunk.run(Some(8), |_| Ok(Bomb)))).is_err()
    };
    while run(&mut chunk) {
        chunk.put_panic(&PanicReport::default());
    }
    assert_eq!((account(&board), chunk.is_over()), ((3, 3), true));
    assert_eq!((chunk.n_panics(), chunk.quota()), (3, 6));
    let n_faults = &board.tasks()[0].progress.n_faults;
    assert_eq!(n_faults.load(Ordering::Relaxed), 0);
}

#[test]
fn results_whose_room_is_not_on_the_board_are_faults() {
    let board = board_with_a_task(2, bytemuck::cast_slice(&[1_u64, 2]));
    let row = &board.tasks()[0];
    let mut chunk = chunk_on(&board, 2);
    // Not in the row: faults have a place, so that they can be counted.
    chunk.room.offset = u64::MAX - 64;
    chunk.run(Some(8), |from| from.value::<u64>());
    assert_eq!((account(&board), chunk.is_over()), ((2, 2), true));
    assert_eq!(row.progress.n_faults.load(Ordering::Relaxed), 2);
}

#[test]
fn a_result_that_finds_no_room_gives_nothing_away() {
    let board = board_with_a_task(2, &[]);
    let row = &board.tasks()[0];
    let mut chunk = chunk_on(&board, 2);
    let room = Room::new(chunk.room, 2, None);
    for (item, len, is_given) in [(0, 100_000, false), (1, 100, true)] {
        assert!(chunk.account.begin(item));
        let array = Array::zeroed(1).unwrap();
        let result: Results = (vec![array.clone()], vec![0; len]);
        chunk.put(item, result, &room);
        // Refused while a name is on its way.
        assert_eq!(array.freeze().is_err(), is_given, "{len}");
    }
    assert_eq!(row.progress.n_faults.load(Ordering::Relaxed), 1);
}

/// Who is condemned leaves its item to the supervisor, which may have it tried again.
#[test]
fn an_item_that_the_supervisor_has_ended_gets_no_fault_from_its_worker() {
    let board = board_with_a_task(1, &[]);
    let row = &board.tasks()[0];
    row.guarded.store(1, Ordering::Relaxed);
    board.show_to_children(true).unwrap();
    let worker = in_child(|| {
        let chunk = chunk_on(&board, 1);
        assert!(chunk.account.begin(0));
        assert!(row.progress.guard.condemn(chunk.account.this_try(0)));
        chunk.put_error(0, &CodecError::new("it does not encode"));
    });
    assert_eq!(worker.signal(), Some(sys::SIGKILL));
    assert_eq!(account(&board), (1, 0));
    assert_eq!(row.progress.n_faults.load(Ordering::Relaxed), 0);
}
