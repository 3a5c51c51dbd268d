//! One map of a closure, in workers that are forked for it.
//!
//! Responsible for: the items and the closure, which stay where they are, in the program's memory. Workers have both through
//! the fork ([`Closure`]); what crosses is the number of an item on the way in and its result on the way out. The map itself
//! is a pool's, on a pool that lives as long as the call.
//!
//! Invariants:
//! - A worker takes an item out of its own copy of the program's memory. The program keeps its items and drops each once.
//! - What runs in a worker never returns into the program's code: it ends with `_exit`, so nothing of the caller's is
//!   dropped there but the items that the closure was given.
//! - A worker has no item twice: after a panic it leaves, and its successor's copy has all items.

use std::cell::Cell;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::PoolBuilder;
use super::{MapOptions, Pool, map};
use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, Encoder, fixed_size};
use crate::error::{Error, JobError};
use crate::job::{Defaults, Job, hash};
use crate::worker::{Chunk, Closure};

/// Calls a closure once for each item, in worker processes forked from the program as it stands; results in input order.
///
/// The workers see all memory of the moment of the call, copy-on-write: whatever the closure captures or reaches, a table
/// of a gigabyte as well as a number, is there without being sent or copied, and needs no serde. Only results are serialized. The
/// workers, one for each core and no more than there are items, end with the call; [`PoolBuilder::fork_map`] is the same
/// with options.
///
/// ```standalone_crate
/// use procession::fork_map;
///
/// fn main() -> Result<(), procession::Error> {
///     let table: Vec<u64> = (0..100_000).map(|n| n * n).collect();
///     let sums = fork_map(table.chunks(25_000), |part| part.iter().sum::<u64>())?;
///     assert_eq!(sums.len(), 4);
///     assert_eq!(sums.iter().sum::<u64>(), table.iter().sum());
///     Ok(())
/// }
/// ```
///
/// # One thread
///
/// The program must have one thread at the moment of the call, whatever the closure borrows: a fork takes along only the
/// thread that calls, and what the others have locked stays locked in the child for ever. With more it is an error, never a
/// hang. Every `#[test]` of a usual harness is a second thread, and so is the one that this crate starts for the first awaited
/// handle or [`on_done`](crate::JobHandle::on_done); a job of a pool runs in a process of one, so a fork map
/// works there. For programs with threads there is [`Pool::map`].
///
/// # What a worker changes
///
/// It changes in its own copy: what the closure writes, through a `Cell`, a `Mutex` or a `static`, the caller does not see, nor do
/// other workers, while the next item on the same worker may. What is to be seen by all lies in a [`Value`](crate::Value),
/// an [`Array`](crate::Array) or another handle; these are shared as ever. A guard that the caller holds meanwhile stays the
/// caller's: a copy of it in a worker unlocks nothing. Let go of it before the call if the closure wants the same lock: the
/// worker would wait for the caller, and the caller for the worker.
///
/// The elements of an array that somebody may write are not in the workers' memory: its guard and its chunks panic there, and a
/// reference that was borrowed from them before the call is a segmentation fault. Lend the elements of a
/// [`SharedSlice`](crate::SharedSlice), or the array itself.
///
/// # Who drops what
///
/// The caller's values are dropped by the caller, once. Workers end with `_exit` and run no destructor but those of what the
/// closure owns: its local values, and the item, which it is given as a copy of the caller's. Where dropping an item has an
/// effect beyond memory (a temporary folder that is deleted, say), that effect would come in the worker and in the caller
/// again: lend such items, `fork_map(&folders, |folder| …)`.
///
/// The memory of [shared](crate::shared) things that were there at the call may be kept until the program ends, since it was seen
/// by processes that nobody counts.
///
/// # Errors
///
/// The first item's failure in input order ([`Error::job_error`], [`Error::index`]); other items still running are then
/// ended. A panic, a crash, an `exit` cost their item only, and a fresh fork of the program takes the worker's place.
/// [`ErrorKind::Start`](crate::ErrorKind::Start) in a program with more than one thread or on a system without
/// processes, [`ErrorKind::System`](crate::ErrorKind::System) where processes cannot be had.
pub fn fork_map<I, R>(items: I, closure: impl Fn(I::Item) -> R) -> Result<Vec<R>, Error>
where
    I: IntoIterator,
    R: Serialize + DeserializeOwned,
{
    Pool::builder().fork_map(items, closure)
}

/// As [`fork_map`], with a verdict for each item, in input order.
///
/// # Errors
///
/// As [`fork_map`], but an item's failure stands in its place in the vector.
///
/// ```standalone_crate
/// use procession::{JobError, fork_map_each};
///
/// fn main() -> Result<(), procession::Error> {
///     let names = ["a", "b", "c"];
///     let verdicts = fork_map_each(0..4, |place| names[place].to_owned())?;
///     assert_eq!(verdicts[2], Ok("c".to_owned()));
///     assert!(matches!(verdicts[3], Err(JobError::Panicked { .. })));
///     Ok(())
/// }
/// ```
pub fn fork_map_each<I, R>(
    items: I,
    closure: impl Fn(I::Item) -> R,
) -> Result<Vec<Result<R, JobError>>, Error>
where
    I: IntoIterator,
    R: Serialize + DeserializeOwned,
{
    Pool::builder().fork_map_each(items, closure)
}

impl PoolBuilder {
    /// [`fork_map`](crate::fork_map) with a pool's options: workers, time-outs, retries, limits, an initializer, a name.
    ///
    /// The start method is [`StartMethod::Fork`](crate::StartMethod::Fork), whatever was said. An item that is tried again is
    /// so in a fresh fork of the program. A [finalizer](Self::finalizer) is not run: the workers are ended with the call.
    ///
    /// # Errors
    ///
    /// As [`fork_map`](crate::fork_map), and as [`build`](Self::build) for what cannot be meant.
    ///
    /// ```standalone_crate
    /// use std::time::Duration;
    /// use procession::{JobError, Pool};
    ///
    /// fn main() -> Result<(), procession::Error> {
    ///     let limit = Duration::from_millis(200);
    ///     let pauses = [0, 60_000].map(Duration::from_millis);
    ///     let options = Pool::builder().workers(2).timeout(limit);
    ///     let error = options.fork_map(&pauses, |&pause| std::thread::sleep(pause)).unwrap_err();
    ///     assert_eq!((error.index(), error.job_error()), (Some(1), Some(&JobError::TimedOut { limit })));
    ///     Ok(())
    /// }
    /// ```
    pub fn fork_map<I, R>(self, items: I, closure: impl Fn(I::Item) -> R) -> Result<Vec<R>, Error>
    where
        I: IntoIterator,
        R: Serialize + DeserializeOwned,
    {
        let items = Items::collect(items);
        let run = |chunk: &mut Chunk<'_>| items.run(chunk, &closure);
        let pool = self.build_for(Closure::new(&run), items.len())?;
        map::run::<Numbered<R>, u64>(&pool, items.numbers(), MapOptions::NONE)
    }

    /// [`fork_map_each`](crate::fork_map_each) with a pool's options, as [`fork_map`](Self::fork_map).
    ///
    /// # Errors
    ///
    /// As [`fork_map_each`](crate::fork_map_each), and as [`build`](Self::build) for what cannot be meant.
    ///
    /// ```standalone_crate
    /// use procession::{JobError, Pool};
    ///
    /// fn main() -> Result<(), procession::Error> {
    ///     let leave = |code| if code > 0 { std::process::exit(code) };
    ///     let verdicts = Pool::builder().workers(1).fork_map_each([0, 3, 0], leave)?;
    ///     assert_eq!(verdicts, [Ok(()), Err(JobError::Exited { code: 3 }), Ok(())]);
    ///     Ok(())
    /// }
    /// ```
    pub fn fork_map_each<I, R>(
        self,
        items: I,
        closure: impl Fn(I::Item) -> R,
    ) -> Result<Vec<Result<R, JobError>>, Error>
    where
        I: IntoIterator,
        R: Serialize + DeserializeOwned,
    {
        let items = Items::collect(items);
        let run = |chunk: &mut Chunk<'_>| items.run(chunk, &closure);
        let pool = self.build_for(Closure::new(&run), items.len())?;
        map::run_each::<Numbered<R>, u64>(&pool, items.numbers(), MapOptions::NONE)
    }
}

/// The items of a map. In the program none is ever taken; each worker takes from its own copy.
struct Items<T>(Vec<Cell<Option<T>>>);

impl<T> Items<T> {
    fn collect(items: impl IntoIterator<Item = T>) -> Self {
        Self(
            items
                .into_iter()
                .map(|item| Cell::new(Some(item)))
                .collect(),
        )
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + use<T> {
        0..self.len() as u64
    }

    /// In a worker: calls the closure for the items whose numbers the chunk holds.
    fn run<R: ByValue>(&self, chunk: &mut Chunk<'_>, closure: &impl Fn(T) -> R) {
        if !chunk.is_for(hash::<Numbered<R>, u64>()) {
            return chunk.refuse(&CodecError::new("the task is not for this map's closure"));
        }
        chunk.run(Numbered::<R>::fixed_input(), |from| {
            let number: u64 = from.value()?;
            from.finish()?;
            let item = self.0.get(number as usize).and_then(Cell::take);
            let gone = || CodecError::new(format!("item {number} is not there, or not any more"));
            item.map(closure).ok_or_else(gone)
        });
    }
}

/// A fork map's closure to the pool: a job of items' numbers.
struct Numbered<R>(PhantomData<fn() -> R>);

impl<R: ByValue> Job<u64> for Numbered<R> {
    type Output = R;
    type State = ();

    const NAME: &'static str = "fork_map";
    const DEFAULTS: Defaults = Defaults::NONE;

    fn fixed_input() -> Option<usize> {
        fixed_size::<u64>()
    }

    fn encode<'i>(number: &'i u64, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.value(number)
    }

    /// The workers of the map run [`Items::run`] instead.
    fn call((): &mut (), _from: &mut Decoder<'_>) -> Result<R, CodecError> {
        Err(CodecError::new(
            "this worker was not forked for the map, and does not have its closure",
        ))
    }
}
