//! The program in front of a board that a worker gone mad has written.

mod few;
mod start;

use std::sync::Arc;

use super::desk::Desk;
use super::fuzzing::{HEAP_LEN, seat};
use super::mailbox::Mailbox;
use super::outcome::{Outcome, Rest};
use crate::board::{
    ALIGN, Board, Fault, FaultKind, Layout, Ordering, Pocket, Priority, QueueEnds, Room, Span,
    TaskId, TaskIndex, WorkerIndex, round_up,
};

const LAYOUT: Layout = Layout {
    n_workers: 1,
    n_tasks: 4,
    setup_len: 0,
    arena_len: 16 * 1024,
    region_len: 16 * 1024,
};

fn next(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    seed.rotate_left(32)
}

/// Words that are likely to mean something, and words that are not.
fn odd_word(seed: &mut u64, near: &[u64]) -> u64 {
    let random = next(seed);
    match random % 8 {
        0 => random,
        1 => u64::MAX - (random >> 8) % 4,
        2 | 3 => (random >> 8) % 70,
        4 => (random >> 8) % 256 * 64,
        5 => ((1 + (random >> 8) % 8) << 32) | ((random >> 16) % 8),
        _ => near[(random >> 8) as usize % near.len()].wrapping_add((random >> 40) % 3 * 64),
    }
}

fn scribble(board: &Board, from: u64, to: u64, seed: &mut u64) {
    let layout = board.layout();
    let near = [
        layout.arena().offset,
        layout.regions().offset,
        layout.len(),
        8192,
    ];
    for offset in (from..to).step_by(8) {
        let [word] = board.words::<1>(offset).expect("within the board");
        word.store(odd_word(seed, &near), Ordering::Relaxed);
    }
}

/// Several tasks on a board, nonsense over all of it, and the program takes what is said to be done.
fn drain_nonsense(mut seed: u64) {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    for _ in 0..4 {
        let tasks: Vec<_> = [None, Some(8), None, Some(0)]
            .into_iter()
            .map(|fixed| {
                let n_items = 1 + (next(&mut seed) % 20) as u32;
                (seat(&board, &mut desk, n_items, fixed, &mailbox), n_items)
            })
            .collect();
        scribble(&board, 0, LAYOUT.len(), &mut seed);
        desk.drain(&board);
        for &(task, _) in &tasks {
            // `DONE` in its generation, so that it is read for certain, and only now.
            let row = board.task(TaskIndex(task.index.0)).expect("one of four");
            row.state.publish(task.generation);
            row.state.try_claim(task.generation, WorkerIndex(0));
            row.state.finish(task.generation, WorkerIndex(0));
        }
        board.header().rescan.fetch_add(1, Ordering::Relaxed);
        desk.drain(&board);
        assert_eq!(desk.n_in_flight(), 0);
        let outcomes = mailbox.take();
        assert_eq!(outcomes.len(), tasks.len());
        for (_, outcome) in outcomes {
            let n_items = outcome.n_items();
            assert_eq!(outcome.verdicts::<Vec<String>>().each().count(), n_items);
            assert_eq!(outcome.verdicts::<u64>().each().count(), n_items);
        }
    }
}

#[test]
fn every_item_is_answered_whatever_is_on_the_board() {
    let (seen, watch) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for seed in 0..400 {
            let result = std::panic::catch_unwind(|| drain_nonsense(seed));
            if seen.send(result.is_ok()).is_err() {
                return;
            }
        }
    });
    for seed in 0..400 {
        let is_sound = watch.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(
            is_sound,
            Ok(true),
            "seed {seed}: a panic, or it goes round for ever"
        );
    }
}

const N_ITEMS: u32 = 8;

/// A worker has done a task of as many items as there are places, says that their results lie there, and the program
/// takes it.
fn take_results(
    layout: Layout,
    places: impl FnOnce(&Board, TaskId, Span) -> [Span; N_ITEMS as usize],
) -> Outcome {
    let (board, _) = Board::create(layout).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(layout), Arc::new(Mailbox::default()));
    let task = seat(&board, &mut desk, N_ITEMS, None, &mailbox);
    let row = board.task(task.index).expect("its own row");
    assert!(row.state.try_claim(task.generation, WorkerIndex(0)));
    // The first task's room begins where the arena does.
    let room_len = Room::len(N_ITEMS, None, HEAP_LEN);
    let room = Room::new(Span::new(layout.arena().offset, room_len), N_ITEMS, None);
    for (item, place) in (0..).zip(places(&board, task, room.heap())) {
        let cell = board
            .words::<2>(room.cell(item).offset)
            .expect("in the room");
        cell[0].store(place.offset, Ordering::Relaxed);
        cell[1].store(place.len, Ordering::Relaxed);
    }
    row.progress.done.store(N_ITEMS, Ordering::Release);
    assert!(row.state.finish(task.generation, WorkerIndex(0)));
    board.header().rescan.fetch_add(1, Ordering::Relaxed);
    desk.drain(&board);
    let (_, outcome) = mailbox.take().pop().expect("it is done");
    outcome
}

/// Makes what looks like a block of a task at the front of the worker's region, and gives its payload.
fn make_block(board: &Board, task: TaskId, total: u64) -> Span {
    let start = board.layout().regions().offset;
    let [len, name] = board.words::<2>(start).expect("in the region");
    len.store(total, Ordering::Relaxed);
    name.store(task.to_word(), Ordering::Relaxed);
    Span::new(start + ALIGN, total - ALIGN)
}

#[test]
fn results_are_copied_from_the_task_s_own_places_only() {
    let outcome = take_results(LAYOUT, |board, task, heap| {
        let (arena, regions) = (board.layout().arena(), board.layout().regions());
        let others = TaskId {
            generation: task.generation + 1,
            ..task
        };
        let block = make_block(board, others, 4096);
        [
            // From its room into what lies behind.
            Span::new(heap.offset, heap.len + u64::from(N_ITEMS) * 32 + ALIGN),
            Span::new(arena.offset + arena.len - 64, 64),
            arena,
            // A block of another task, and no block at all.
            block,
            Span::new(regions.offset + 8192, 64),
            Span::new(regions.offset, regions.len),
            Span::new(0, 64),
            Span::new(u64::MAX, 64),
        ]
    });
    assert_eq!(outcome.result_bytes(), 0);
    let verdicts = outcome.verdicts::<Vec<u8>>();
    assert_eq!(verdicts.failures.len(), N_ITEMS as usize);
}

/// The same few bytes again and again, and a block of the size of the machine's memory: all of it sparse.
#[test]
fn no_more_is_copied_off_the_board_than_memory_is_there() {
    let layout = Layout {
        region_len: round_up(crate::sys::total_memory(), 4096),
        ..LAYOUT
    };
    let outcome = take_results(layout, |board, task, heap| {
        let block = make_block(board, task, layout.region_len);
        let small = Span::new(block.offset, 64);
        let past_its_end = Span::new(block.offset, block.len + 1);
        [
            small,
            block,
            block,
            small,
            past_its_end,
            Span::new(heap.offset, 64),
            block,
            small,
        ]
    });
    assert_eq!(
        outcome.result_bytes(),
        4 * 64,
        "what is small is had, before and after what is too large"
    );
}

/// Numbers are taken all at once, but only where each item has one.
#[test]
fn a_fault_in_a_task_of_numbers_is_seen() {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    let task = seat(&board, &mut desk, N_ITEMS, Some(8), &mailbox);
    let row = board.task(task.index).expect("its own row");
    assert!(row.state.try_claim(task.generation, WorkerIndex(0)));
    let room_len = Room::len(N_ITEMS, Some(8), HEAP_LEN);
    row.input_offset
        .store(LAYOUT.arena().offset, Ordering::Relaxed);
    row.room_len.store(room_len, Ordering::Relaxed);
    let fault = Fault {
        item: 3,
        kind: FaultKind::Exited,
        pid: 7,
        detail: 1,
        payload: Span::new(0, 0),
    };
    crate::worker::write_fault(&board, row, fault);
    row.progress.done.store(N_ITEMS, Ordering::Release);
    assert!(row.state.finish(task.generation, WorkerIndex(0)));
    desk.take_if_done(&board, task.index);
    let (_, mut outcome) = mailbox.take().pop().expect("it is done");
    assert!(outcome.cost_a_worker());
    assert_eq!(outcome.take_numbers::<u64>(), None);
    let verdicts = outcome.verdicts::<u64>();
    assert_eq!(verdicts.results.len(), N_ITEMS as usize - 1);
    let failed: Vec<_> = verdicts.failures.iter().map(|(place, _)| *place).collect();
    assert_eq!(failed, [3]);
}

/// Numbers of which each item has one are taken as bytes, in a buffer that has served before.
#[test]
fn a_buffer_that_is_given_back_holds_the_next_results() {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    let buffer = Vec::with_capacity(8 * N_ITEMS as usize);
    let place = buffer.as_ptr();
    mailbox.exchange(&mut Vec::new(), &mut vec![buffer]);
    let task = seat(&board, &mut desk, N_ITEMS, Some(8), &mailbox);
    let row = board.task(task.index).expect("its own row");
    assert!(row.state.try_claim(task.generation, WorkerIndex(0)));
    let room_len = Room::len(N_ITEMS, Some(8), HEAP_LEN);
    let room = Span::new(LAYOUT.arena().offset, room_len);
    let room = Room::new(room, N_ITEMS, Some(8));
    for item in 0..N_ITEMS {
        let result = u64::from(item) + 7;
        assert!(board.write(room.cell(item).offset, &result.to_ne_bytes()));
    }
    row.progress.done.store(N_ITEMS, Ordering::Release);
    assert!(row.state.finish(task.generation, WorkerIndex(0)));
    desk.take_if_done(&board, task.index);
    let mut arrived = Vec::new();
    mailbox.exchange(&mut arrived, &mut Vec::new());
    let (_, mut outcome) = arrived.pop().expect("it is done");
    assert_eq!(
        outcome.take_numbers::<u32>(),
        None,
        "numbers of another size"
    );
    let bytes = outcome.take_numbers::<u64>().expect("it is whole");
    assert_eq!(bytes.as_ptr(), place);
    let mut numbers = vec![6_u64];
    assert!(crate::codec::append_numbers(&bytes, &mut numbers));
    assert!(numbers.into_iter().eq(6..7 + u64::from(N_ITEMS)));
}

/// Between two tries of an item nobody has begun it, and yet it is known which process tried it.
#[test]
fn an_item_that_was_to_be_tried_again_names_the_process_that_tried_it() {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    let mut withdraw = |pid: Option<u32>| {
        let task = seat(&board, &mut desk, 1, Some(8), &mailbox);
        let row = board.task(task.index).expect("its own row");
        if let Some(pid) = pid {
            row.progress.worker_pid.store(pid, Ordering::Relaxed);
            row.progress.attempts.note(0, 1);
        }
        assert!(desk.withdraw(&board, task, &Rest::Cancelled));
        board.queue(Priority::Normal).taker().take(|_| false);
        let (_, outcome) = mailbox.take().pop().expect("it is over");
        let (_, failure) = outcome.verdicts::<u64>().failures.pop().expect("no result");
        failure.worker_pid
    };
    assert_eq!(withdraw(Some(77)), Some(77));
    for _ in 0..LAYOUT.n_tasks {
        assert_eq!(withdraw(None), None, "nor of the row's last tenant");
    }
}

/// A worker killed in its sleep leaves its bit set; its successor may take a task before it ever sleeps.
#[test]
fn a_busy_worker_whose_forerunner_died_asleep_is_left_alone() {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    let (index, record) = (WorkerIndex(0), &board.workers()[0]);
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let kill = |_| -> Option<()> { std::panic::resume_unwind(Box::new("SIGKILL")) };
        board.sleep_worker(index, std::time::Duration::ZERO, kill)
    }));
    assert!(killed.is_err());
    assert!(board.is_asleep(index));
    // Of its burial.
    board.forget_waiting(index);
    record.prepare();
    assert!(!board.is_asleep(index), "its successor has never slept");
    let task = seat(&board, &mut desk, 1, Some(8), &mailbox);
    record.set_current(Some(task));
    let row = board.task(task.index).expect("its own row");
    assert!(row.state.try_claim(task.generation, index));
    for _ in 0..3 {
        desk.audit(&board, 1);
    }
    assert!(mailbox.is_empty(), "it runs, and was said to be lost");
}

/// What is small comes with its row, so that no other line passes; and is had where the arena is full.
#[test]
fn small_tasks_lie_in_the_pocket_of_their_row() {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let mut desk = Desk::new(LAYOUT);
    let (_, large) = desk.set_aside(&board, LAYOUT.arena_len).expect("all of it");
    assert!(LAYOUT.arena().contains(large));
    assert!(!desk.has_room(&board, Pocket::LEN + 1));
    assert!(desk.has_room(&board, Pocket::LEN));
    let (index, small) = desk.set_aside(&board, Pocket::LEN).expect("its pocket");
    assert_eq!(small, LAYOUT.pocket(index));
}

/// The program goes by what it remembers, not by what stands there.
#[test]
fn a_task_is_found_though_the_end_of_the_queue_was_written_over() {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    let first = seat(&board, &mut desk, 1, Some(8), &mailbox);
    let mut taker = board.queue(Priority::Normal).taker();
    assert_eq!(taker.take(|_| true), Some(first));
    // The tail of the second of the queues, which is that of normal priority.
    let ends = board.words::<17>(size_of::<QueueEnds>() as u64).unwrap();
    ends[16].store(0, Ordering::Relaxed);
    let second = seat(&board, &mut desk, 1, Some(8), &mailbox);
    assert_eq!(taker.take(|_| true), Some(second));
}

/// A row is used again, and what stands in it of its last tenant is nothing of the next one's.
#[test]
fn an_outcome_of_which_nothing_has_begun_names_no_worker() {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    let task = seat(&board, &mut desk, 1, Some(8), &mailbox);
    let row = board.task(task.index).expect("its own row");
    row.progress.worker_pid.store(77, Ordering::Relaxed);
    assert!(row.state.try_claim(task.generation, WorkerIndex(0)));
    desk.give_up(&board, &Rest::Lost("gone".into()), "gone");
    let (_, outcome) = mailbox.take().pop().expect("it was given up");
    let failure = outcome
        .verdicts::<u64>()
        .failures
        .pop()
        .expect("it is lost");
    assert_eq!(failure.1.worker_pid, None);
}
