//! A region: the log of blocks in which one process keeps results too large for their task's room.
//!
//! Blocks are made at the tail and given back at the head, round and round. A block lives as long as its
//! task: it is free once the task's row has moved on to its next generation, which the program sees to when
//! it has read the results. So nobody sends a block back, and the next incarnation of a killed worker finds
//! all it needs in the blocks themselves. An empty log starts again at the front, on warm pages.
//!
//! A block is a line of 64 bytes (total length, task) and its payload. A block written but not yet within
//! `tail` does not exist; killing the writer there costs nothing.

use super::atomic::{AtomicU64, Ordering};
use super::task::TaskId;
use super::{ALIGN, Board, Span};

/// Where a log begins and ends, relative to its area; written by its owner only.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct LogEnds {
    /// Head and tail in one word, so that a writer killed anywhere leaves a log that is one.
    ends: AtomicU64,
    /// Bytes from the front that have had pages reserved.
    ensured: AtomicU64,
}

/// A log and the board it lies on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log<'board> {
    pub(crate) board: &'board Board,
    pub(crate) ends: &'board LogEnds,
    pub(crate) area: Span,
}

/// Marks the unused rest before the end of the area; no task has this name.
const FILLER: u64 = u64::MAX;

impl LogEnds {
    fn load(&self) -> (u64, u64) {
        let ends = self.ends.load(Ordering::Relaxed);
        ((ends >> 32) * ALIGN, (ends & u64::from(u32::MAX)) * ALIGN)
    }

    /// Both are multiples of [`ALIGN`] within a region, so they fit half a word each.
    fn store(&self, head: u64, tail: u64) {
        self.ends
            .store(((head / ALIGN) << 32) | (tail / ALIGN), Ordering::Release);
    }
}

/// Program: whether `span` is the payload, or part of it, of a block that belongs to `task`.
pub(crate) fn is_block_of(board: &Board, task: TaskId, span: Span) -> bool {
    let head = span
        .offset
        .checked_sub(ALIGN)
        .filter(|_| board.layout().region_around(span).is_some());
    let head: Option<&[AtomicU64; 2]> = head.and_then(|head| board.words(head));
    head.is_some_and(|[total, name]| {
        let room = total.load(Ordering::Relaxed).saturating_sub(ALIGN);
        name.load(Ordering::Relaxed) == task.to_word() && span.len <= room
    })
}

impl Log<'_> {
    /// Room for `len` bytes that lives as long as `task`; the offset is on the board. `None`: the region is
    /// full of results that the program has not read, or memory is.
    pub(crate) fn allocate(&self, task: TaskId, len: u64) -> Option<Span> {
        let total = len.checked_next_multiple_of(ALIGN)?.checked_add(ALIGN)?;
        self.reclaim();
        let (head, tail) = self.ends.load();
        if head.max(tail) > self.area.len {
            // No log of ours: a worker gone mad has been here.
            return None;
        }
        let at = if tail < head {
            // Wrapped: one line stays free, so that a full log is not taken for an empty one.
            if tail.checked_add(total)? >= head {
                return None;
            }
            tail
        } else if tail.checked_add(total)? <= self.area.len {
            tail
        } else if total < head {
            if tail < self.area.len {
                self.write_head(tail, self.area.len - tail, FILLER)?;
            }
            0
        } else {
            return None;
        };
        self.ensure(at + total)?;
        self.write_head(at, total, task.to_word())?;
        self.ends.store(head, at + total);
        Some(Span::new(self.area.offset + at + ALIGN, len))
    }

    /// Gives back the blocks at the head whose tasks are over.
    fn reclaim(&self) {
        let (mut head, tail) = self.ends.load();
        let mut has_wrapped = false;
        while head != tail {
            if head == self.area.len {
                if has_wrapped {
                    // The tail lies nowhere: no log of ours.
                    return;
                }
                has_wrapped = true;
                head = 0;
                continue;
            }
            let Some((total, name)) = self.read_head(head) else {
                break;
            };
            if name != FILLER && self.is_alive(TaskId::from_word(name)) {
                break;
            }
            head += total;
        }
        // An empty log starts again at the front.
        let (head, tail) = if head == tail { (0, 0) } else { (head, tail) };
        self.ends.store(head, tail);
    }

    fn is_alive(&self, task: TaskId) -> bool {
        self.board
            .task(task.index)
            .is_some_and(|row| row.state.generation() == task.generation)
    }

    /// Reserves pages up to `end`, in growing steps, so that it is rarely asked.
    fn ensure(&self, end: u64) -> Option<()> {
        let ensured = self.ends.ensured.load(Ordering::Relaxed).min(self.area.len);
        if end > ensured {
            let wanted = (end + (end / 4).min(64 << 20)).min(self.area.len);
            let reserve = |to: u64| {
                self.board
                    .ensure(Span::new(self.area.offset + ensured, to - ensured))
            };
            let reached = if reserve(wanted).is_ok() {
                wanted
            } else {
                reserve(end).ok().map(|()| end)?
            };
            self.ends.ensured.store(reached, Ordering::Relaxed);
        }
        Some(())
    }

    fn write_head(&self, at: u64, total: u64, name: u64) -> Option<()> {
        self.ensure((at + ALIGN).min(self.area.len))?;
        let head: &[AtomicU64; 2] = self.board.words(self.area.offset + at)?;
        head[0].store(total, Ordering::Relaxed);
        head[1].store(name, Ordering::Relaxed);
        Some(())
    }

    /// Length and owner of the block at `at`; `None` for what no process of ours wrote.
    fn read_head(&self, at: u64) -> Option<(u64, u64)> {
        let offset = self.area.offset.checked_add(at)?;
        if !self.area.contains(Span::new(offset, ALIGN)) {
            return None;
        }
        let head: &[AtomicU64; 2] = self.board.words(offset)?;
        let (total, name) = (
            head[0].load(Ordering::Relaxed),
            head[1].load(Ordering::Relaxed),
        );
        let sound = total >= ALIGN && total.is_multiple_of(ALIGN) && total <= self.area.len - at;
        sound.then_some((total, name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{Layout, TaskIndex};
    use super::*;

    const N_TASKS: u32 = 4;
    const LEN: u64 = 4096;

    fn board() -> Board {
        let layout = Layout {
            n_workers: 1,
            n_tasks: N_TASKS,
            setup_len: 0,
            arena_len: 0,
            region_len: LEN,
        };
        Board::create(layout).unwrap().0
    }

    /// The supervisor's log: nothing but it lies behind the end of its area.
    fn log(board: &Board) -> Log<'_> {
        board.supervisor_log()
    }

    fn task(board: &Board, index: u32) -> TaskId {
        let index = TaskIndex(index);
        let generation = board.task(index).unwrap().state.generation();
        TaskId { index, generation }
    }

    fn end(board: &Board, index: u32) {
        let task = task(board, index);
        board.task(task.index).unwrap().state.free(task.generation);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Allocate { task: u32, len: u64 },
        End { task: u32 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let allocate =
            (0..N_TASKS, 0_u64..LEN / 2).prop_map(|(task, len)| Step::Allocate { task, len });
        let end = (0..N_TASKS).prop_map(|task| Step::End { task });
        prop::collection::vec(prop_oneof![2 => allocate, 1 => end], 1..200)
    }

    proptest! {
        #[test]
        fn blocks_of_living_tasks_keep_apart_and_the_dead_give_theirs_back(steps in steps()) {
            let board = board();
            let log = log(&board);
            let mut living: Vec<(u32, Span)> = Vec::new();
            for step in steps {
                match step {
                    Step::End { task } => {
                        end(&board, task);
                        living.retain(|(owner, _)| *owner != task);
                    }
                    Step::Allocate { task: owner, len } => {
                        let Some(new) = log.allocate(task(&board, owner), len) else {
                            prop_assert!(!living.is_empty(), "an empty log has room");
                            continue;
                        };
                        prop_assert!(log.area.contains(new) && new.len == len);
                        prop_assert!(new.offset.is_multiple_of(ALIGN));
                        for (_, old) in &living {
                            let apart = old.offset + old.len <= new.offset || new.offset + new.len <= old.offset;
                            prop_assert!(apart, "{old:?} and {new:?}");
                        }
                        prop_assert!(board.write(new.offset, &vec![0xff; len as usize]));
                        living.push((owner, new));
                    }
                }
            }
            (0..N_TASKS).for_each(|index| end(&board, index));
            prop_assert!(log.allocate(task(&board, 0), LEN - ALIGN).is_some(), "all of it is free again");
        }
    }

    #[test]
    fn a_block_longer_than_the_region_is_refused() {
        let board = board();
        for len in [LEN - ALIGN + 1, LEN, u64::MAX - 200, u64::MAX - ALIGN] {
            assert_eq!(log(&board).allocate(task(&board, 0), len), None, "{len}");
        }
    }

    #[test]
    fn no_length_makes_it_panic() {
        let board = board();
        assert_eq!(log(&board).allocate(task(&board, 0), u64::MAX), None);
    }

    /// What a worker gone mad may leave: likely numbers, unlikely numbers, heads of blocks anywhere.
    fn odd_number(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let random = *seed >> 16;
        match random % 8 {
            0 => u64::MAX - (random >> 8) % 256,
            1 => random << 16,
            2 => LEN,
            3 => (random >> 8) % (2 * LEN),
            _ => (random >> 8) % (LEN / ALIGN + 2) * ALIGN,
        }
    }

    /// Bends the log in a way that depends on the seed alone, and allocates; returns where, and the area.
    fn allocate_in_a_bent_log(mut seed: u64) -> (Vec<Span>, Span) {
        let board = board();
        let log = log(&board);
        for line in 0..LEN / ALIGN {
            let (total, name) = (odd_number(&mut seed), odd_number(&mut seed));
            let words: &[AtomicU64; 2] = board.words(log.area.offset + line * ALIGN).unwrap();
            words[0].store(total, Ordering::Relaxed);
            words[1].store(if name % 3 == 0 { FILLER } else { name }, Ordering::Relaxed);
        }
        let (head, tail) = (odd_number(&mut seed), odd_number(&mut seed));
        log.ends.store(head, tail % (u64::from(u32::MAX) * ALIGN));
        log.ends
            .ensured
            .store(odd_number(&mut seed), Ordering::Relaxed);
        let lens = [1, 100, 1000, 7680];
        let spans = lens
            .iter()
            .filter_map(|&len| log.allocate(task(&board, 0), len))
            .collect();
        (spans, log.area)
    }

    #[test]
    fn a_bent_log_leads_nowhere_outside_and_never_round_and_round() {
        let (seen, watch) = mpsc::channel();
        std::thread::spawn(move || {
            for seed in 0..5000 {
                let result = std::panic::catch_unwind(|| allocate_in_a_bent_log(seed));
                seen.send((seed, result.ok())).unwrap();
            }
        });
        let mut faults = [0; 2];
        for seed in 0..5000 {
            let (_, result) = watch
                .recv_timeout(Duration::from_secs(5))
                .unwrap_or_else(|_| {
                    panic!("seed {seed} goes round for ever; panics and escapes before: {faults:?}")
                });
            match result {
                None => faults[0] += 1,
                Some((spans, area)) => {
                    faults[1] += usize::from(!spans.iter().all(|&span| area.contains(span)))
                }
            }
        }
        assert_eq!(faults, [0, 0], "panics and escapes");
    }
}
