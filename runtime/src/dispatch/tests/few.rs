//! Tasks that are for no more workers than there are cores.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::board::{Board, Layout, Ordering, Priority, TaskId, WorkerIndex};
use crate::dispatch::desk::{Desk, Tenant};
use crate::dispatch::mailbox::Mailbox;
use crate::dispatch::outcome::Remembered;
use crate::sys;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A worker that takes one task and is never done with it.
fn sleep_until_claimed(board: &Board, worker: WorkerIndex, claimed: &Sender<TaskId>) {
    let claim = |task: TaskId| {
        let row = board.task(task.index).expect("on the board");
        row.state.try_claim(task.generation, worker)
    };
    let look = |_: bool| board.queue(Priority::Normal).taker().take(claim);
    let task = board.sleep_worker(worker, LONG, look);
    claimed.send(task.expect("one for each")).expect("heard");
}

fn publish(board: &Board, desk: &mut Desk, most_awake: Option<u32>) -> TaskId {
    let (index, span) = desk.set_aside(board, 64).expect("room");
    let remembered = Remembered {
        order: crate::board::Order::default(),
        fixed_output: None,
        limits: None,
        tags: 1,
    };
    let mailbox = Arc::<Mailbox>::default();
    let tenant = Tenant::new(span, remembered, Vec::new(), desk.enter(&mailbox), 0);
    let task = desk.seat(board, index, tenant.with_most_awake(most_awake));
    board.wake_worker();
    task
}

/// As many workers as there are cores are at work, one more task for few is on the board, and one worker sleeps: it is
/// woken for nothing but what `then` does.
fn a_sleeper_is_woken_when(then: impl FnOnce(&Board, &mut Desk)) {
    let n_cores = sys::n_cores().min(64) as u16;
    let layout = Layout {
        n_workers: u32::from(n_cores) + 1,
        n_tasks: 128,
        setup_len: 0,
        arena_len: 1 << 16,
        region_len: 4096,
    };
    let board = Board::create(layout).expect("memory for a small board").0;
    board
        .header()
        .n_open
        .store(layout.n_workers, Ordering::Relaxed);
    let mut desk = Desk::new(layout);
    let few = Some(u32::from(n_cores));
    let (claimed, heard) = channel();
    std::thread::scope(|scope| {
        let board = &board;
        for worker in 0..=n_cores {
            let claimed = claimed.clone();
            scope.spawn(move || sleep_until_claimed(board, WorkerIndex(worker), &claimed));
            while !board.is_asleep(WorkerIndex(worker)) {
                std::thread::yield_now();
            }
        }
        for _ in 0..n_cores {
            publish(board, &mut desk, few);
            heard.recv_timeout(LONG).expect("a worker for each core");
        }
        publish(board, &mut desk, few);
        let n_asleep = || (0..=n_cores).filter(|&worker| board.is_asleep(WorkerIndex(worker)));
        assert_eq!(
            n_asleep().count(),
            1,
            "one worker more than there are cores"
        );
        then(board, &mut desk);
        assert_eq!(n_asleep().count(), 0);
        heard.recv_timeout(LONG).expect("it has the task");
    });
}

#[test]
fn tasks_for_few_are_for_all_once_they_have_taken_long() {
    a_sleeper_is_woken_when(|board, desk| desk.call_all(board));
}

#[test]
fn tasks_for_few_are_for_all_beside_one_that_is() {
    a_sleeper_is_woken_when(|board, desk| {
        publish(board, desk, None);
    });
}

/// Its worker is no use to the tasks that follow, which would wait for it again and again.
#[test]
fn while_a_task_that_took_long_is_held_further_ones_are_for_all() {
    let layout = Layout {
        n_workers: 2,
        n_tasks: 16,
        setup_len: 0,
        arena_len: 1 << 16,
        region_len: 4096,
    };
    let board = Board::create(layout).expect("memory for a small board").0;
    board.header().n_open.store(2, Ordering::Relaxed);
    let mut desk = Desk::new(layout);
    let [holder, other] = [0, 1].map(WorkerIndex);
    let finish = |desk: &mut Desk, task: TaskId| {
        let state = &board.tasks()[task.index.0 as usize].state;
        state.try_claim(task.generation, holder);
        assert!(state.finish(task.generation, holder));
        desk.take_if_done(&board, task.index);
    };
    let long = publish(&board, &mut desk, Some(1));
    assert!(!board.needs(other), "one is awake already");
    desk.call_all(&board);
    let quick = publish(&board, &mut desk, Some(1));
    assert!(board.needs(other));
    finish(&mut desk, quick);
    let quick = publish(&board, &mut desk, Some(1));
    assert!(board.needs(other), "until the long one is over");
    finish(&mut desk, long);
    finish(&mut desk, quick);
    publish(&board, &mut desk, Some(1));
    assert!(!board.needs(other));
}
