use std::cell::Cell;

use super::super::Priority;
use super::*;
use crate::board::{Layout, TaskId, TaskIndex};

const LAYOUT: Layout = Layout {
    n_workers: 64,
    n_tasks: 4,
    setup_len: 0,
    arena_len: 4096,
    region_len: 4096,
};

const SLEEPER: WorkerIndex = WorkerIndex(40);
const SPINNER: WorkerIndex = WorkerIndex(3);

const FIRST: TaskId = TaskId {
    index: TaskIndex(0),
    generation: 0,
};

/// A board with workers at all posts.
fn board_of_all() -> Board {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let n_open = &board.header().n_open;
    n_open.store(LAYOUT.n_workers, Ordering::Relaxed);
    board
}

/// A board on which one worker sleeps and one spins.
fn board() -> Board {
    let board = board_of_all();
    board.bells().sleepers.0.insert(SLEEPER);
    board.bells().spinning.0.insert(SPINNER);
    board
}

fn append(board: &Board, index: u32) {
    board.queue(Priority::Normal).append(TaskId {
        index: TaskIndex(index),
        generation: 0,
    });
}

#[test]
fn a_sleeper_is_woken_for_what_is_more_than_the_spinners_take() {
    let board = board();
    append(&board, 0);
    board.wake_worker();
    assert!(board.is_asleep(SLEEPER), "the spinner takes it");
    append(&board, 1);
    board.wake_worker();
    assert!(!board.is_asleep(SLEEPER), "one cannot take two");
}

#[test]
fn queues_that_say_they_are_endless_are_rung_for() {
    let board = board();
    for priority in Priority::ALL {
        // The last name's place; to append writes the tail behind it.
        board.queue(priority).append_at(u64::MAX - 1, FIRST);
    }
    board.wake_worker();
    assert!(!board.is_asleep(SLEEPER));
    assert!(!board.wants_dormant(), "none is to be had");
}

#[test]
fn as_many_as_there_are_cores_are_rung_for_and_each_that_finds_a_task_rings_for_the_next() {
    let board = board_of_all();
    let n_workers = LAYOUT.n_workers as u16;
    for worker in 0..n_workers {
        board.bells().sleepers.0.insert(WorkerIndex(worker));
    }
    for index in 0..u32::from(n_workers) {
        append(&board, index);
        board.wake_worker();
    }
    let n_rung_for = || board.bells().sleepers.0.len(LAYOUT.n_workers).1;
    let most = sys::n_cores().min(LAYOUT.n_workers);
    assert_eq!(n_rung_for(), most);
    // The first of them wakes up and takes a task.
    let woken = WorkerIndex(0);
    let take = |_| board.queue(Priority::Normal).taker().take(|_| true);
    assert!(board.sleep_worker(woken, Duration::ZERO, take).is_some());
    assert_eq!(n_rung_for(), most, "another one in its place");
    assert!(!board.is_asleep(WorkerIndex(most as u16)));
}

#[test]
fn nobody_is_rung_for_where_as_many_are_awake_as_are_wanted() {
    let board = board_of_all();
    let n_workers = LAYOUT.n_workers as u16;
    for worker in 1..n_workers {
        board.bells().sleepers.0.insert(WorkerIndex(worker));
    }
    append(&board, 0);
    append(&board, 1);
    board.set_most_awake(Some(1));
    board.wake_worker();
    assert_eq!(board.bells().sleepers.0.len(LAYOUT.n_workers).1, 0);
    board.bells().sleepers.0.insert(WorkerIndex(0));
    board.wake_worker();
    assert!(!board.is_asleep(WorkerIndex(0)), "nobody was awake");
    board.set_most_awake(None);
    board.bells().sleepers.0.remove(WorkerIndex(0));
    board.wake_worker();
    assert!(
        !board.is_asleep(WorkerIndex(1)),
        "there is no limit any more"
    );
}

#[test]
fn who_is_one_too_many_lies_down_without_a_look_and_the_last_one_looks() {
    let board = board_of_all();
    let [one, two] = [WorkerIndex(0), WorkerIndex(1)];
    for worker in 2..LAYOUT.n_workers as u16 {
        board.bells().sleepers.0.insert(WorkerIndex(worker));
    }
    assert!(board.needs(one) && board.needs(two), "there is no limit");
    board.set_most_awake(Some(1));
    assert!(!board.needs(one) && !board.needs(two), "one is enough");
    let looks = |worker| {
        let mut looks = Vec::new();
        board.sleep_worker(worker, Duration::ZERO, |may_claim| {
            looks.push(may_claim);
            None::<()>
        });
        looks
    };
    assert_eq!(looks(one), [false, true], "the other one is awake");
    board.bells().sleepers.0.insert(two);
    assert!(board.needs(one));
    assert_eq!(looks(one), [true, true], "nobody else is awake");
}

#[test]
fn who_finds_by_itself_what_was_left_to_others_counts_on_them_no_more() {
    let board = board_of_all();
    let stopped = 1..=sys::n_cores() as u16;
    for worker in stopped.clone() {
        board.bells().sleepers.0.insert(WorkerIndex(worker));
        board.wake_sleeper();
    }
    append(&board, 0);
    append(&board, 1);
    board.bells().sleepers.0.insert(SLEEPER);
    board.wake_worker();
    assert!(board.is_asleep(SLEEPER), "others have been rung for");
    let n_looks = Cell::new(0);
    let take_at_second_look = |_| {
        n_looks.set(n_looks.get() + 1);
        (n_looks.get() == 2)
            .then(|| board.queue(Priority::Normal).taker().take(|_| true))
            .flatten()
    };
    let found = board.sleep_worker(WorkerIndex(0), Duration::ZERO, take_at_second_look);
    assert!(found.is_some() && !board.is_asleep(SLEEPER));
}

#[test]
fn what_a_dead_spinner_was_counted_on_for_is_a_sleepers() {
    let board = board();
    append(&board, 0);
    board.forget_waiting(SPINNER);
    assert!(!board.is_asleep(SLEEPER));
}

#[test]
fn who_spins_and_finds_another_task_wakes_a_sleeper() {
    let board = board();
    append(&board, 0);
    board.bells().spinning.0.remove(SPINNER);
    let spun = board.spin_worker(SPINNER, || Some(()));
    // On a single core nobody spins.
    assert_eq!(spun.is_some(), sys::n_cores() > 1);
    assert_eq!(board.is_asleep(SLEEPER), spun.is_none());
}

#[test]
fn nobody_counts_on_spinners_that_a_worker_gone_mad_has_made_up() {
    const LAYOUT_OF_THREE: Layout = Layout {
        n_workers: 3,
        ..LAYOUT
    };
    let (board, _) = Board::create(LAYOUT_OF_THREE).expect("memory for a small board");
    let bells = board.bells();
    let words = bells.sleepers.0.0.iter().chain(&bells.spinning.0.0);
    words.for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
    for worker in [WorkerIndex(0), WorkerIndex(1)] {
        bells.sleepers.0.remove(worker);
        bells.spinning.0.remove(worker);
    }
    let (seen, nothing) = (board.workers()[2].bell.now(), |_| None::<()>);
    board.sleep_worker(WorkerIndex(2), Duration::ZERO, nothing);
    bells.sleepers.0.insert(WorkerIndex(2));
    append(&board, 0);
    board.wake_worker();
    assert!(board.workers()[2].bell.now() > seen, "it is rung for");
    board.wake_sleeper();
    let is_rung_twice = board.workers()[2].bell.now() > seen + 1;
    assert!(!is_rung_twice, "it is awake, and the pool has no others");
}

#[test]
fn a_caller_is_woken_whatever_number_was_written_where_callers_are_counted() {
    let board = board();
    for number in [0, 1, u32::MAX - 1, u32::MAX, 1 << 31] {
        board.bells().n_waiting.store(number, Ordering::Relaxed);
        let before = board.bells().done.load(Ordering::Relaxed);
        board.sleep_caller(Duration::ZERO, || {
            board.wake_callers();
            true
        });
        let after = board.bells().done.load(Ordering::Relaxed);
        assert_eq!(after, before.wrapping_add(1), "{number}");
    }
}

#[test]
fn a_core_is_left_to_those_who_have_work() {
    let board = board();
    // With the one that spins already, one fewer than there are cores.
    for worker in 4..sys::n_cores().min(60) as u16 + 2 {
        board.bells().spinning.0.insert(WorkerIndex(worker));
    }
    let n_looks = Cell::new(0);
    let spun = board.spin_worker(WorkerIndex(63), || -> Option<()> {
        n_looks.set(n_looks.get() + 1);
        None
    });
    assert_eq!((spun, n_looks.get()), (None, 0));
}

/// One who has yet to begin, or is leaving, may take long over it.
#[test]
fn who_takes_no_tasks_is_none_of_the_few_that_are_to_be_awake() {
    let board = board_of_all();
    for worker in (0..LAYOUT.n_workers as u16).map(WorkerIndex) {
        if worker != SPINNER {
            board.bells().sleepers.0.insert(worker);
        }
    }
    board.set_most_awake(Some(1));
    append(&board, 0);
    board.wake_worker();
    assert!(board.is_asleep(WorkerIndex(0)), "one is awake");
    board.end_taking(SPINNER);
    assert!(!board.is_asleep(WorkerIndex(0)), "it left the task");
    board.bells().sleepers.0.remove(WorkerIndex(0));
    board.bells().sleepers.0.insert(WorkerIndex(0));
    assert!(board.needs(WorkerIndex(0)), "until the other comes again");
    board.begin_taking(SPINNER);
    assert!(!board.needs(WorkerIndex(0)));
    board.forget_waiting(SPINNER);
    assert!(!board.is_asleep(WorkerIndex(0)), "it died");
}
