//! Waiting for the first of several things: `select`.
//!
//! Responsible for the rounds: look at all, sleep on the words of all, ask about deaths from time to time. What it means that a
//! thing is ready, and by which word it says so, each thing knows itself ([`Waitable`]).
//!
//! Invariant: nobody sleeps past a change. The words are noted before the last look, and whoever changes one wakes those who
//! sleep on it; and after [`Vigil::nap`] everybody looks without being woken.

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use crate::board::Turn;
use crate::dispatch::Dispatch;
use crate::pipe::Connection;
use crate::pool::JobHandle;
use crate::process::Process;
use crate::queue::{Awaited, PriorityQueue, Queue};
use crate::sync::{Event, Vigil};
use crate::sys::futex;

/// So long somebody who is stopped in the middle of a `put` holds up who is about to sleep.
const LONGEST_HOLD: Duration = Duration::from_millis(10);

/// What [`select`] can wait for: a [`Queue`] and a [`PriorityQueue`](crate::PriorityQueue) that have a message or are
/// closed, a [`Connection`] that has a message or whose other end is gone, a [`Process`] and a [`JobHandle`] that are over, an
/// [`Event`] that is set.
///
/// ```
/// use procession::{Event, Queue, Selectable, select};
///
/// let (queue, event) = (Queue::<u32>::new()?, Event::new()?);
/// event.set();
/// let things: [&dyn Selectable; 2] = [&queue, &event];
/// assert_eq!(select(&things), [1]);
/// # Ok::<(), procession::Error>(())
/// ```
#[expect(private_bounds, reason = "nobody else implements it")]
pub trait Selectable: Waitable {}

/// What `select` asks of a thing.
pub(crate) trait Waitable {
    /// Whether it is ready. Waits for nothing.
    fn is_ready(&self) -> bool;

    /// The word that changes when it may have become ready; to be asked before the last look. `None`: it changes just now.
    fn bed(&self) -> Option<Bed<'_>>;

    /// Asks whether somebody who could make it ready has died, which makes it ready too.
    fn ask_who_lives(&self) {}

    /// A wake that was meant for one of those who wait for this may have woken this one, who leaves: for another.
    fn pass_wake_on(&self) {}
}

/// A word to sleep on while it is as it was.
pub(crate) struct Bed<'a> {
    word: &'a AtomicU32,
    expected: u32,
    /// Where those who sleep are counted.
    _turn: Option<Turn<'a>>,
}

/// Waits until one of these is ready, and says which are, by their places; at once, and none, of nothing.
///
/// What is ready may not be so a moment later, where others get from the same queue: take what is there by a form that
/// does not wait. A death that makes one of them ready is noticed within a tenth of a second; where nobody is left who would
/// put into a queue or set an event, nobody tells: take [`select_timeout`].
///
/// On a kernel before 5.16, where a sandbox forbids `futex_waitv(2)`, and for more than 128 things at once, it looks at all of them
/// every millisecond instead of being woken by each.
///
/// ```
/// use procession::{Queue, pipe, process_job, select, spawn};
///
/// #[process_job]
/// fn answer(queue: &Queue<u32>) {
///     queue.put(42).unwrap();
/// }
///
/// let queue = Queue::new()?;
/// let (ours, _theirs) = pipe::<(), ()>()?;
/// let child = spawn!(answer(&queue))?;
/// let ready = select(&[&queue, &ours, &child]);
/// assert!(ready.contains(&0) || ready.contains(&2));
/// # Ok::<(), procession::Error>(())
/// ```
pub fn select(things: &[&dyn Selectable]) -> Vec<usize> {
    select_until(things, None)
}

/// As [`select`], for so long at the most: then, and never before, it says that none is ready.
///
/// ```
/// use std::time::Duration;
/// use procession::{Queue, select_timeout};
///
/// let (first, second) = (Queue::<u32>::new()?, Queue::new()?);
/// assert!(select_timeout(&[&first, &second], Duration::from_millis(5)).is_empty());
/// second.put(1)?;
/// assert_eq!(select_timeout(&[&first, &second], Duration::MAX), [1]);
/// # Ok::<(), procession::Error>(())
/// ```
pub fn select_timeout(things: &[&dyn Selectable], timeout: Duration) -> Vec<usize> {
    select_until(things, Instant::now().checked_add(timeout))
}

fn select_until(things: &[&dyn Selectable], deadline: Option<Instant>) -> Vec<usize> {
    if things.is_empty() {
        return Vec::new();
    }
    let ready = ready_among(things);
    if !ready.is_empty() {
        return ready;
    }
    let mut vigil = Vigil::until(deadline);
    loop {
        let beds: Vec<_> = things.iter().map_while(|thing| thing.bed()).collect();
        if vigil.asks() {
            things.iter().for_each(|thing| thing.ask_who_lives());
        }
        let ready = ready_among(things);
        if !ready.is_empty() || vigil.is_over() {
            ready.iter().for_each(|&place| things[place].pass_wake_on());
            return ready;
        }
        if beds.len() == things.len() {
            let words: Vec<_> = beds.iter().map(|bed| (bed.word, bed.expected)).collect();
            futex::wait_any(&words, vigil.nap());
        }
    }
}

fn ready_among(things: &[&dyn Selectable]) -> Vec<usize> {
    let places = 0..things.len();
    places.filter(|&place| things[place].is_ready()).collect()
}

fn bed_at((word, expected): (&AtomicU32, u32)) -> Bed<'_> {
    Bed {
        word,
        expected,
        _turn: None,
    }
}

fn bed_beside(awaited: Awaited<'_>) -> Option<Bed<'_>> {
    let deadline = Instant::now() + LONGEST_HOLD;
    awaited.lie_down(Some(deadline)).map(bed_at)
}

fn bed_on(dispatch: &Dispatch) -> Bed<'_> {
    let turn = dispatch.board().lie_down();
    Bed {
        word: turn.word,
        expected: turn.seen,
        _turn: Some(turn),
    }
}

impl<T> Selectable for Queue<T> {}

impl<T> Waitable for Queue<T> {
    fn is_ready(&self) -> bool {
        self.has_some()
    }

    fn bed(&self) -> Option<Bed<'_>> {
        bed_beside(self.awaited())
    }

    fn pass_wake_on(&self) {
        self.awaited().pass_wake_on();
    }
}

impl<T, P> Selectable for PriorityQueue<T, P> {}

impl<T, P> Waitable for PriorityQueue<T, P> {
    fn is_ready(&self) -> bool {
        self.has_some()
    }

    fn bed(&self) -> Option<Bed<'_>> {
        bed_beside(self.awaited())
    }

    fn pass_wake_on(&self) {
        self.awaited().pass_wake_on();
    }
}

impl<A, B> Selectable for Connection<A, B> {}

impl<A, B> Waitable for Connection<A, B> {
    fn is_ready(&self) -> bool {
        self.inbox().is_ready()
    }

    fn bed(&self) -> Option<Bed<'_>> {
        self.inbox().bed()
    }

    fn ask_who_lives(&self) {
        self.look_after_other();
    }

    fn pass_wake_on(&self) {
        self.inbox().pass_wake_on();
    }
}

impl Selectable for Event {}

impl Waitable for Event {
    fn is_ready(&self) -> bool {
        self.is_set()
    }

    fn bed(&self) -> Option<Bed<'_>> {
        self.notice().lie_down().map(bed_at)
    }
}

impl<R> Selectable for Process<R> {}

impl<R> Waitable for Process<R> {
    fn is_ready(&self) -> bool {
        self.is_over()
    }

    fn bed(&self) -> Option<Bed<'_>> {
        Some(bed_on(self.dispatch()))
    }

    fn ask_who_lives(&self) {
        self.dispatch().is_gone();
    }
}

impl<R> Selectable for JobHandle<R> {}

impl<R> Waitable for JobHandle<R> {
    fn is_ready(&self) -> bool {
        self.is_finished()
    }

    fn bed(&self) -> Option<Bed<'_>> {
        Some(bed_on(self.dispatch()))
    }

    fn ask_who_lives(&self) {
        self.dispatch().is_gone();
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
