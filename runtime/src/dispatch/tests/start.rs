//! A supervisor that dies while it makes the crew of a process whose one task lies on the board already.

use std::sync::Arc;

use super::super::{Dispatch, NewTask, Plan};
use crate::board::{Board, Priority, TaskId, TaskIndex, WorkerIndex};
use crate::codec::Encoder;
use crate::dispatch::Mailbox;
use crate::error::{Error, ErrorKind, JobError};
use crate::supervisor::{Link, Request, Terms};
use crate::sys::{self, Channel, Confinement, Launched, Pidfd};

/// Has a board made with one task on it, by a supervisor that gives no answer after `serve`.
fn make(
    mailbox: &Arc<Mailbox>,
    serve: impl FnOnce(Board) + Send + 'static,
) -> Result<Dispatch, Error> {
    let (ours, theirs) = Channel::pair().expect("a socket");
    let supervisor = std::thread::spawn(move || {
        let mut words = [0; 64];
        let mut received = theirs
            .recv(bytemuck::cast_slice_mut(&mut words))
            .expect("a request");
        let words = words.first_chunk().expect("enough of them");
        let Some(Request::Make { layout, .. }) = Request::from_words(*words) else {
            panic!("another request")
        };
        let board = received.fds.swap_remove(0);
        serve(Board::attach(&board, layout).expect("memory for a small board"));
    });
    let link = Arc::new(Link::new(Launched {
        channel: ours,
        supervisor: Pidfd::open(sys::pid()).expect("this process"),
    }));
    let input = Encoder::new();
    let task = NewTask {
        shim: 0,
        job: 0,
        input: &input,
        n_items: 1,
        first_index: None,
        fixed_output: Some(0),
        heap_len: 0,
        timeout: None,
        deadline: None,
        retries: 0,
        priority: Priority::Normal,
        guarded: false,
        ends_at_fault: false,
        flush_each: false,
        most_awake: None,
        rings: true,
        mailbox,
        tag: 0,
    };
    let plan = Plan {
        n_workers: 1,
        n_places: crate::dispatch::Places::Exactly(1),
        n_tasks: 1,
        arena_len: 4096,
        terms: Terms {
            one_shot: true,
            ..Terms::default()
        },
        name: "job",
        confinement: &Confinement::default(),
        initializer_args: &[],
        finalizer_args: &[],
        keeps: Vec::new(),
    };
    let made = Dispatch::make(link, &plan, Some(&task));
    supervisor.join().expect("no panic");
    made
}

fn claim(board: &Board) -> bool {
    let task = TaskId {
        index: TaskIndex(0),
        generation: 0,
    };
    let row = board.task(task.index).expect("the only one");
    row.state.try_claim(task.generation, WorkerIndex(0))
}

#[test]
fn a_job_that_may_have_begun_is_not_begun_again_by_the_next_supervisor() {
    let mailbox = Arc::new(Mailbox::default());
    let made = make(&mailbox, |board| assert!(claim(&board)));
    let dispatch = made.expect("a process, though its supervisor is gone");
    let verdict = dispatch.join_single::<()>(&mailbox, || false, "process");
    assert!(
        matches!(verdict, Err(JobError::Lost { started: true, .. })),
        "{verdict:?}"
    );
}

#[test]
fn a_job_that_never_began_never_will_before_another_supervisor_is_asked() {
    let (board_sent, board) = std::sync::mpsc::channel();
    let made = make(&Arc::default(), move |board| {
        board_sent.send(board).expect("it is waited for");
    });
    assert_eq!(made.map(drop).unwrap_err().kind(), ErrorKind::PoolGone);
    let board = board.recv().expect("it was sent");
    assert!(
        !claim(&board),
        "a worker that is still alive comes too late"
    );
}
