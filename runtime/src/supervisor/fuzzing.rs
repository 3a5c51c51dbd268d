//! For fuzzing: the supervisor in front of a board and a door that workers gone mad have got at.

use super::family::ARENA;
use super::registry::Registry;
use super::verdict::{Blame, Cause, Death};
use crate::board::{Board, Layout, TaskId, TaskIndex, WorkerIndex};
use crate::fuzzing::Script;
use crate::sys::{Channel, Fd, memfd};

const LAYOUT: Layout = Layout {
    n_workers: 2,
    n_tasks: 4,
    setup_len: 0,
    arena_len: 8192,
    region_len: 8192,
};

/// Workers die again and again on a board of nonsense.
pub fn bury(bytes: &[u8]) {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let mut script = Script::new(bytes);
    while bury_one(&board, &mut script).is_some() {}
}

fn bury_one(board: &Board, script: &mut Script<'_>) -> Option<()> {
    script.damage(board)?;
    let index = WorkerIndex(script.below(2)? as u16);
    let record = board.worker(index).expect("one of two");
    let how = script.byte()?;
    if how & 1 != 0 {
        // It holds a task, so that the supervisor goes all the way.
        let task = TaskId {
            index: TaskIndex(script.below(4)? as u32),
            generation: 0,
        };
        let row = board.task(task.index).expect("one of four");
        row.state.publish(0);
        row.state.try_claim(0, index);
        record.set_current(Some(task));
    }
    let causes = [
        Cause::Signal(9),
        Cause::Exit(3),
        Cause::TimedOut,
        Cause::Cancelled,
    ];
    let death = Death {
        board,
        record,
        index,
        pid: 1,
        cause: causes[usize::from(how >> 2) % 4],
    };
    let burial = if how & 2 == 0 {
        death.bury(Blame::Begun)
    } else {
        death.bury_with_only_task()
    };
    if burial.left_work() {
        board.wake_worker();
    }
    board.forget_waiting(index);
    board.wake_callers();
    Some(())
}

/// Any bytes come through the door, with any descriptors; afterwards it still serves.
pub fn serve_door(bytes: &[u8]) {
    let (outside, inside) = Channel::pair().expect("a socket");
    let arena = memfd("arena", 4096).expect("a file");
    let other = memfd("other", 8192).expect("a file");
    let mut registry = Registry::new(inside, arena, 8);
    let mut script = Script::new(bytes);
    while knock(&mut registry, &outside, &other, &mut script).is_some() {}
    let (mine, theirs) = Channel::pair().expect("a socket");
    let want = super::door::Question::Want { id: ARENA, tag: 0 };
    outside
        .send(&want.to_bytes(), &[theirs.fd()])
        .expect("the door is open");
    assert!(registry.serve());
    let mut errno = 1_u64;
    let answer = mine.recv(bytemuck::bytes_of_mut(&mut errno));
    let fds = answer.expect("an answer").fds;
    assert_eq!((errno, fds.len()), (0, 1), "the arena is there for ever");
}

fn knock(
    registry: &mut Registry,
    outside: &Channel,
    other: &Fd,
    script: &mut Script<'_>,
) -> Option<()> {
    let (mine, theirs) = Channel::pair().expect("a socket");
    let how = script.byte()?;
    let fds: &[&Fd] = match how % 4 {
        0 => &[],
        1 => &[theirs.fd()],
        2 => &[theirs.fd(), other],
        _ => &[other, theirs.fd()],
    };
    let sent = if how & 4 == 0 {
        let near = [0, ARENA, 7, 1 << 63];
        let words = [script.below(5)?, script.word(&near)?, script.word(&near)?];
        outside.send(bytemuck::cast_slice(&words), fds)
    } else {
        let len = 1 + script.below(60)? as usize;
        let nonsense = script.take(len);
        // Nothing at all would shut the door.
        if nonsense.is_empty() {
            return None;
        }
        outside.send(nonsense, fds)
    };
    sent.expect("the door is open");
    assert!(registry.serve(), "the door was shut");
    drop(mine);
    Some(())
}
