//! Every order in which an item's completion, its time-out, its cancelling and its worker's death may come: the first
//! of them is the item's verdict, and what comes later changes nothing.

use crate::board::{
    Board, Fault, FaultKind, Layout, Ordering, Room, Span, State, TaskId, TaskIndex, TaskRow, Try,
    WorkerIndex,
};
use crate::supervisor::verdict::{Blame, Blameless, Burial, Cause, Death};
use crate::supervisor::watch::Running;
use crate::worker::write_fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The job returns, and the worker counts its result.
    Completion,
    /// A look of the supervisor finds the item over its time.
    TimeOut,
    /// The program sets `stop` and asks for the worker's end.
    Cancel,
    /// The kernel tells of the worker's death: by what the supervisor sent, else by a SIGKILL from outside.
    Death,
}

use Event::{Cancel, Completion, Death as Dies, TimeOut};

const LAYOUT: Layout = Layout {
    n_workers: 2,
    n_tasks: 1,
    setup_len: 0,
    arena_len: 8192,
    region_len: 8192,
};

const WORKER: WorkerIndex = WorkerIndex(0);

const TASK: TaskId = TaskId {
    index: TaskIndex(0),
    generation: 0,
};

/// In the task; one is done, the second runs.
const N_ITEMS: u32 = 3;

struct Scene {
    board: Board,
    room: Room,
    killed_for: Option<Cause>,
    burial: Option<Burial>,
}

impl Scene {
    fn new(retries: u32) -> Self {
        let (board, _) = Board::create(LAYOUT).unwrap();
        let room = Span::new(LAYOUT.arena().offset, Room::len(N_ITEMS, Some(8), 0));
        let row = board.task(TASK.index).unwrap();
        row.n_items.store(N_ITEMS, Ordering::Relaxed);
        row.input_offset.store(room.offset, Ordering::Relaxed);
        row.room_len.store(room.len, Ordering::Relaxed);
        row.retries.store(retries, Ordering::Relaxed);
        row.state.publish(TASK.generation);
        board.worker(WORKER).unwrap().set_current(Some(TASK));
        assert!(row.state.try_claim(TASK.generation, WORKER));
        row.progress.done.store(1, Ordering::Relaxed);
        row.progress.guard.raise(the_try(0));
        row.progress.started.store(2, Ordering::Relaxed);
        Self {
            room: Room::new(room, N_ITEMS, Some(8)),
            board,
            killed_for: None,
            burial: None,
        }
    }

    fn row(&self) -> &TaskRow {
        self.board.task(TASK.index).unwrap()
    }

    fn happens(&mut self, event: Event) {
        match event {
            Completion => {
                // Else it was condemned, and waits for its end.
                if self.row().progress.guard.lower(the_try(0)) {
                    self.row().progress.done.store(2, Ordering::Release);
                }
            }
            TimeOut => self.end_if_running(Cause::TimedOut),
            Cancel => {
                self.row().progress.stop.store(1, Ordering::Relaxed);
                self.end_if_running(Cause::Cancelled);
            }
            Dies => {
                let death = Death {
                    board: &self.board,
                    record: self.board.worker(WORKER).unwrap(),
                    index: WORKER,
                    pid: 77,
                    cause: self.killed_for.unwrap_or(Cause::Signal(9)),
                };
                self.burial = Some(death.bury(Blame::Begun));
            }
        }
    }

    /// As `Worker::end`, but for the signal.
    fn end_if_running(&mut self, cause: Cause) {
        let condemned = Running::of(&self.board, WORKER)
            .is_some_and(|running| running.row.progress.guard.condemn(running.this_try));
        if condemned {
            self.killed_for = Some(cause);
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let n_faults = self.row().progress.n_faults.load(Ordering::Relaxed);
        let read = |place| {
            let words = self.board.words::<4>(self.room.fault(place).offset)?;
            Fault::from_words(words.each_ref().map(|word| word.load(Ordering::Relaxed)))
        };
        (0..n_faults).map(|place| read(place).unwrap()).collect()
    }
}

fn the_try(attempt: u32) -> Try {
    Try {
        generation: TASK.generation,
        item: 1,
        attempt,
    }
}

/// Every order of every set of events in which the worker dies.
fn orders() -> Vec<Vec<Event>> {
    let mut all = vec![Vec::new()];
    let mut place = 0;
    while place < all.len() {
        for event in [Completion, TimeOut, Cancel, Dies] {
            if !all[place].contains(&event) {
                let mut longer = all[place].clone();
                longer.push(event);
                all.push(longer);
            }
        }
        place += 1;
    }
    all.retain(|order| order.contains(&Dies));
    all
}

#[test]
fn the_first_event_is_the_verdict_in_every_order() {
    let orders = orders();
    assert_eq!(orders.len(), 49, "1 + 2 · 3 + 6 · 3 + 24");
    for order in orders {
        for retries in [0, 1] {
            let mut scene = Scene::new(retries);
            for &event in &order {
                scene.happens(event);
            }
            let name = format!("{order:?}, {retries} retries");
            let first = order[0];
            let death = order.iter().position(|&event| event == Dies).unwrap();
            let is_stopped = order[..death].contains(&Cancel);
            let verdict = match first {
                Completion => None,
                Dies => Some((FaultKind::Killed, 9)),
                TimeOut => Some((FaultKind::TimedOut, 0)),
                Cancel => Some((FaultKind::Cancelled, 0)),
            };
            // Nobody wants another try of what was cancelled; one that was cancelled while it waited for its end is
            // not had again either, since its task is stopped.
            let is_tried_again = retries > 0 && matches!(first, Dies | TimeOut);
            let expected = verdict.filter(|_| !is_tried_again);
            let faults: Vec<_> = scene
                .faults()
                .iter()
                .map(|fault| (fault.item, fault.kind, fault.detail, fault.pid))
                .collect();
            let expected_faults: Vec<_> = expected
                .map(|(kind, detail)| (1, kind, detail, 77))
                .into_iter()
                .collect();
            assert_eq!(faults, expected_faults, "{name}");
            let progress = &scene.row().progress;
            let n_done = if is_tried_again { 1 } else { 2 };
            assert_eq!(progress.done.load(Ordering::Relaxed), n_done, "{name}");
            assert_eq!(progress.started.load(Ordering::Relaxed), n_done, "{name}");
            assert_eq!(progress.guard.running(), None, "{name}");
            let attempt = u32::from(is_tried_again);
            assert_eq!(progress.attempts.of(n_done), attempt, "{name}");
            let (burial, state) = match (is_stopped, is_tried_again) {
                (true, _) => (Burial::Finished, State::Done),
                (false, true) => (Burial::ToBeTriedAgain { attempt: 1 }, State::Ready),
                (false, false) => (Burial::Requeued, State::Ready),
            };
            assert_eq!(scene.burial, Some(burial), "{name}");
            assert_eq!(scene.row().state.read(0), Some(state), "{name}");
            // What is left is to be had once, by another worker.
            let next = scene.board.retries().taker().take(|_| true);
            assert_eq!(next, (!is_stopped).then_some(TASK), "{name}");
            assert_eq!(scene.board.retries().taker().take(|_| true), None, "{name}");
        }
    }
}

/// The time-out of a try that is over does not end the next try, nor that of an item the next item.
#[test]
fn what_was_seen_before_condemns_nothing_that_came_after() {
    let scene = Scene::new(1);
    let seen = Running::of(&scene.board, WORKER).unwrap().this_try;
    let guard = &scene.row().progress.guard;
    assert!(guard.lower(seen));
    for next in [
        the_try(1),
        Try {
            item: 2,
            ..the_try(0)
        },
    ] {
        guard.raise(next);
        assert!(!guard.condemn(seen), "{next:?}");
        assert!(guard.lower(next));
    }
}

/// Its worker had written that the item failed, and was killed before it counted the item.
#[test]
fn an_item_that_is_tried_again_leaves_no_fault() {
    let fault_of = |item| Fault {
        item,
        kind: FaultKind::Codec,
        pid: 77,
        detail: 0,
        payload: Span::new(0, 0),
    };
    let [codec, killed] = [FaultKind::Codec, FaultKind::Killed];
    let (again, finished) = (Burial::ToBeTriedAgain { attempt: 1 }, Burial::Finished);
    for (retries, ends_at_fault, is_stopped, burial, faults) in [
        (1, false, false, again, vec![(0, codec)]),
        (1, true, false, again, vec![]),
        // What the program has stopped stays so.
        (1, true, true, finished, vec![]),
        (
            0,
            false,
            false,
            Burial::Requeued,
            vec![(0, codec), (1, killed)],
        ),
        (0, true, false, finished, vec![(1, killed)]),
    ] {
        let mut scene = Scene::new(retries);
        let row = scene.row();
        row.ends_at_fault
            .store(ends_at_fault.into(), Ordering::Relaxed);
        row.progress
            .stop
            .store(is_stopped.into(), Ordering::Relaxed);
        if !ends_at_fault {
            write_fault(&scene.board, row, fault_of(0));
        }
        write_fault(&scene.board, row, fault_of(1));
        scene.happens(Dies);
        let name = format!("{retries} retries, {ends_at_fault}, {is_stopped}");
        assert_eq!(scene.burial, Some(burial), "{name}");
        let left = scene
            .faults()
            .iter()
            .map(|fault| (fault.item, fault.kind))
            .collect::<Vec<_>>();
        assert_eq!(left, faults, "{name}");
        let state = if burial == finished {
            State::Done
        } else {
            State::Ready
        };
        assert_eq!(scene.row().state.read(0), Some(state), "{name}");
    }
}

/// Nothing has begun, and whoever claims the task dies: so it goes on, but not for ever.
#[test]
fn a_task_that_kills_worker_after_worker_is_given_up_item_by_item() {
    let mut scene = Scene::new(0);
    scene.row().progress.guard.clear();
    scene.row().progress.started.store(1, Ordering::Relaxed);
    let mut blameless = Blameless::default();
    let mut n_deaths = 0;
    while scene.burial != Some(Burial::Finished) {
        let cause = Cause::Signal(11);
        let death = Death {
            board: &scene.board,
            record: scene.board.worker(WORKER).unwrap(),
            index: WORKER,
            pid: 77,
            cause,
        };
        let burial = death.bury(blameless.blame());
        blameless.note(cause, burial);
        scene.burial = Some(burial);
        n_deaths += 1;
        assert!(n_deaths < 1000, "for ever");
        scene.row().state.try_claim(TASK.generation, WORKER);
    }
    let verdicts: Vec<_> = scene
        .faults()
        .iter()
        .map(|fault| (fault.item, fault.kind, fault.detail))
        .collect();
    let killed = |item| (item, FaultKind::Killed, 11);
    assert_eq!(verdicts, [killed(1), killed(2)]);
    assert!(n_deaths > 20, "a few deaths are nobody's fault");
}

#[test]
fn workers_that_have_done_their_number_of_jobs_are_held_against_nobody() {
    let mut blameless = Blameless::default();
    for _ in 0..1000 {
        blameless.note(Cause::Exit(0), Burial::Requeued);
    }
    assert_eq!(blameless.blame(), Blame::Begun);
}
