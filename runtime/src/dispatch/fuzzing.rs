//! For fuzzing: the program in front of a board that workers gone mad have written.

use std::sync::Arc;

use super::desk::{Desk, Tenant};
use super::mailbox::Mailbox;
use super::outcome::Remembered;
use crate::board::{ALIGN, Board, Layout, Order, Ordering, Room, Span, TaskId, WorkerIndex};
use crate::fuzzing::Script;

const LAYOUT: Layout = Layout {
    n_workers: 2,
    n_tasks: 4,
    setup_len: 0,
    arena_len: 16 * 1024,
    region_len: 16 * 1024,
};

/// For results, in the room of each task of several items. Those of one item lie in the pockets of their rows.
pub(super) const HEAP_LEN: u64 = 256;

/// Tasks on a board, damage over all of it, and the program takes what is said to be done: every item is answered,
/// once.
pub fn take_outcomes(bytes: &[u8]) {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::new(Mailbox::default()));
    let mut script = Script::new(bytes);
    while take_some(&board, &mut desk, &mailbox, &mut script).is_some() {}
}

/// Puts a task of so many items on the board.
pub(super) fn seat(
    board: &Board,
    desk: &mut Desk,
    n_items: u32,
    fixed_output: Option<usize>,
    mailbox: &Arc<Mailbox>,
) -> TaskId {
    let heap_len = if n_items == 1 { 0 } else { HEAP_LEN };
    let (index, span) = desk
        .set_aside(board, Room::len(n_items, fixed_output, heap_len))
        .expect("room for a small task");
    let remembered = Remembered {
        order: Order {
            n_items,
            input: Span::new(span.offset, 0),
            room: Span::new(span.offset, span.len / ALIGN * ALIGN),
            ..Order::default()
        },
        fixed_output,
        limits: None,
        tags: 1,
    };
    let mailbox = desk.enter(mailbox);
    desk.seat(
        board,
        index,
        Tenant::new(span, remembered, Vec::new(), mailbox, 0),
    )
}

fn take_some(
    board: &Board,
    desk: &mut Desk,
    mailbox: &Arc<Mailbox>,
    script: &mut Script<'_>,
) -> Option<()> {
    let mut tasks = Vec::new();
    for _ in 0..=script.below(4)? {
        let n_items = 1 + script.below(20)? as u32;
        let fixed_output = [None, Some(0), Some(8), None][script.below(4)? as usize];
        tasks.push((seat(board, desk, n_items, fixed_output, mailbox), n_items));
    }
    // Where the script ends, what is on the board is still taken off it.
    let goes_on = script.damage(board);
    desk.drain(board);
    // Twice: what is seen once is only suspected.
    desk.audit(board, LAYOUT.n_workers as usize);
    desk.audit(board, LAYOUT.n_workers as usize);
    for &(task, _) in &tasks {
        // `DONE` in its generation, so that it is read for certain.
        let row = board.task(task.index).expect("one of four");
        row.state.publish(task.generation);
        row.state.try_claim(task.generation, WorkerIndex(0));
        row.state.finish(task.generation, WorkerIndex(0));
    }
    board.header().rescan.fetch_add(1, Ordering::Relaxed);
    desk.drain(board);
    assert_eq!(desk.n_in_flight(), 0);
    let outcomes = mailbox.take();
    assert_eq!(outcomes.len(), tasks.len());
    let sum_of_items: usize = outcomes.iter().map(|(_, outcome)| outcome.n_items()).sum();
    assert_eq!(
        sum_of_items,
        tasks
            .iter()
            .map(|(_, n_items)| *n_items as usize)
            .sum::<usize>()
    );
    for (_, outcome) in outcomes {
        let n_items = outcome.n_items();
        assert_eq!(outcome.verdicts::<Vec<String>>().each().count(), n_items);
        assert_eq!(outcome.verdicts::<u64>().each().count(), n_items);
    }
    goes_on
}
