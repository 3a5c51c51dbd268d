//! A worker's record: who it is, what it holds, how it fares, and its last words.
//!
//! | fields | written by | if the worker is dead |
//! |---|---|---|
//! | `current`, `phase`, counters, `log`, `words` | the worker | the supervisor reads them once, then starts the next incarnation |
//! | `finishing.since` | the worker, before its finalizer | the supervisor tells by it whether the time was up |
//! | `pid`, `restarts`, `exit_status`, `ended`, `cpu_nanos`, `private_memory`, the rest of `finishing` | the supervisor | - |
//! | `bell` | whoever has work | rung in vain |
//!
//! `current` is written *before* the claim, so that a task held by a worker is always the one it names.

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::bells::Bell;
use super::region::LogEnds;
use super::task::TaskId;

/// How far a worker has come in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Phase {
    /// Forked, not yet able to take a task: setting up, running the initializer.
    Starting = 0,
    /// Taking tasks.
    Ready = 1,
    /// Left of its own accord: the pool closes, or it has done its number of jobs.
    Leaving = 2,
    /// Could not set up; its last words say why.
    Failed = 3,
    /// About to leave: runs its finalizer, drops its state.
    Finishing = 4,
    /// Left since it had nothing to do for long: nobody is to come before there is.
    Retired = 5,
}

/// What the supervisor needs to know of a worker, and the program may ask.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct WorkerRecord {
    current: AtomicU64,
    phase: AtomicU32,
    pub(crate) bell: Bell,
    pub(crate) jobs_done: AtomicU64,
    pub(crate) busy_nanos: AtomicU64,
    pub(crate) log: LogEnds,
    pub(crate) pid: AtomicU32,
    pub(crate) restarts: AtomicU32,
    /// The raw status of `waitpid(2)`, once `ended`.
    pub(crate) exit_status: AtomicU32,
    pub(crate) ended: AtomicU32,
    /// Of all incarnations, as of the last time the program asked.
    pub(crate) cpu_nanos: AtomicU64,
    pub(crate) private_memory: AtomicU64,
    pub(crate) finishing: Finishing,
    pub(crate) words: Text<7616>,
}

/// How the ends of workers went that were to be in order.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Finishing {
    /// On the monotonic clock, of the present worker.
    pub(crate) since: AtomicU64,
    /// How many died in their finalizer.
    pub(crate) deaths: AtomicU32,
    /// The raw status of the last of these, or [`TIME_UP`].
    pub(crate) last_status: AtomicU32,
}

/// Stands for the status of a worker that was killed because its time to finish was over.
pub(crate) const TIME_UP: u32 = u32::MAX;

const NO_TASK: u64 = u64::MAX;

impl WorkerRecord {
    /// Supervisor, before each fork.
    pub(crate) fn prepare(&self) {
        self.set_current(None);
        self.set_phase(Phase::Starting);
        self.words.clear();
    }

    /// Worker: names the task it is about to claim, or that it holds none.
    pub(crate) fn set_current(&self, task: Option<TaskId>) {
        // Release: the supervisor that reads it after the death finds all that was done before.
        self.current
            .store(task.map_or(NO_TASK, TaskId::to_word), Ordering::Release);
    }

    pub(crate) fn current(&self) -> Option<TaskId> {
        match self.current.load(Ordering::Acquire) {
            NO_TASK => None,
            word => Some(TaskId::from_word(word)),
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Ordering::Release);
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            2 => Phase::Leaving,
            3 => Phase::Failed,
            4 => Phase::Finishing,
            5 => Phase::Retired,
            _ => Phase::Ready,
        }
    }
}

/// A short text in shared memory; what is too long is cut.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Text<const N: usize> {
    len: AtomicU32,
    bytes: [std::sync::atomic::AtomicU8; N],
}

impl<const N: usize> Text<N> {
    pub(crate) fn clear(&self) {
        self.len.store(0, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn write(&self, text: &str) {
        let cut = &text.as_bytes()[..text.len().min(N)];
        for (cell, byte) in self.bytes.iter().zip(cut) {
            cell.store(*byte, Ordering::Relaxed);
        }
        // Release: pairs with the acquire in `read`.
        self.len.store(cut.len() as u32, Ordering::Release);
    }

    pub(crate) fn read(&self) -> String {
        let len = (self.len.load(Ordering::Acquire) as usize).min(N);
        let bytes: Vec<u8> = self.bytes[..len]
            .iter()
            .map(|cell| cell.load(Ordering::Relaxed))
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU8;

    use proptest::prelude::*;

    use super::*;

    fn text() -> Text<16> {
        Text {
            len: AtomicU32::new(0),
            bytes: [const { AtomicU8::new(0) }; 16],
        }
    }

    proptest! {
        #[test]
        fn a_text_is_read_as_written_up_to_its_room(written in "\\PC{0,12}") {
            let text = text();
            text.write(&written);
            prop_assert_eq!(text.is_empty(), written.is_empty());
            let cut = &written.as_bytes()[..written.len().min(16)];
            prop_assert_eq!(text.read(), String::from_utf8_lossy(cut));
            text.clear();
            prop_assert_eq!(text.read(), "");
        }

        #[test]
        fn any_bytes_and_any_length_are_some_text(len in any::<u32>(), bytes in any::<[u8; 16]>()) {
            let text = Text::<16> { len: AtomicU32::new(len), bytes: bytes.map(AtomicU8::new) };
            prop_assert!(text.read().chars().count() <= 16);
        }
    }
}
