//! `Broadcast`: a value that is sent once and decoded once in each process.
//!
//! Responsible for the handle, and for keeping what this process has decoded until it is of no use. Where the bytes lie, and for how long, is the
//! block's affair.
//!
//! Invariants: the bytes are written before the block has a name, and never afterwards; they are copied out before they are
//! decoded. What is kept counts for no handle: a block ends with its last handle, and what was decoded of it is let go when
//! a process next receives or drops a broadcast. Blocks are known by numbers that no later one has.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::mark::Mark;
use super::{Block, Label, travel};
use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, Encoder};
use crate::error::Error;
use crate::supervisor::{Family, lock};
use crate::sys::PerProcess;

/// A value that many jobs read: sent once, decoded once in each worker, however many jobs it is passed to.
///
/// An argument is encoded for each job, and decoded for each job. A `Broadcast` of it is a handle, some bytes long: cheap to
/// clone, and passed to jobs by value or by reference, alone or inside of structs. The value itself lies encoded in shared
/// memory; a worker decodes it when it first receives the handle, and all jobs of that worker read the same value from then on. (A
/// worker keeps the sixteen values that it decoded last: with more broadcasts in use at a time, some are decoded again.)
///
/// The shared memory goes with the last handle. After that a worker drops its decoded value when it next receives or drops a
/// broadcast, or ends. In the program nothing is kept: each handle that it receives is decoded by itself.
///
/// Arrays of numbers are better a [`SharedSlice`](crate::SharedSlice), which nobody decodes or copies at all.
///
/// ```
/// use std::collections::HashMap;
/// use procession::{Broadcast, pool_map, process_job};
///
/// #[process_job]
/// fn capital(of: Broadcast<HashMap<String, String>>, country: &str) -> Option<String> {
///     of.get(country).cloned()
/// }
///
/// let capitals = [("Kenya", "Nairobi"), ("Peru", "Lima")].map(|(a, b)| (a.to_owned(), b.to_owned()));
/// let capitals = Broadcast::new(&HashMap::from(capitals))?;
/// let found = pool_map!(capital, ["Peru", "Kenya"].map(|it| (capitals.clone(), it)))?;
/// assert_eq!(found, [Some("Lima".to_owned()), Some("Nairobi".to_owned())]);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Broadcast<T> {
    block: Arc<Block>,
    value: Arc<OnceLock<T>>,
    /// Dropped after the block.
    _sweep: Sweep,
}

impl<T: ByValue> Broadcast<T> {
    /// Writes the value to shared memory.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidInput`](crate::ErrorKind::InvalidInput), where serde cannot write the value, and where it holds handles
    /// of shared memory, which are to be passed beside it; of kind [`System`](crate::ErrorKind::System), where shared memory
    /// cannot be had.
    ///
    /// ```
    /// let words = procession::Broadcast::new(&vec!["one".to_owned(), "two".to_owned()])?;
    /// assert_eq!(words.len(), 2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(value: &T) -> Result<Self, Error> {
        let mut encoder = Encoder::new();
        T::encode(value, &mut encoder).map_err(|error| Error::invalid_input(error.to_string()))?;
        if !encoder.passengers().is_empty() {
            return Err(Error::invalid_input(
                "a broadcast cannot hold handles of shared memory: pass them beside it",
            ));
        }
        // One byte more, since there are no blocks of none.
        let block = Block::new(Self::label(), encoder.len() + 1)?;
        let mut offset = 0;
        for chunk in encoder.chunks() {
            block.write(offset, chunk);
            offset += chunk.len();
        }
        Ok(Self::of(block, Arc::default()))
    }

    fn read(block: &Block) -> Result<T, CodecError> {
        let mut bytes = vec![0; block.len() - 1];
        block.read(0, &mut bytes);
        let mut decoder = Decoder::new(&bytes);
        let value = T::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(value)
    }
}

impl<T> Broadcast<T> {
    fn of(block: Arc<Block>, value: Arc<OnceLock<T>>) -> Self {
        Self {
            block,
            value,
            _sweep: Sweep,
        }
    }

    fn label() -> Label {
        Label::of::<Self>()
    }
}

/// In the process that has made it, the first use decodes it too.
///
/// # Panics
///
/// There, where serde cannot read what it has written. (A job that receives such a broadcast fails with
/// [`JobError::Codec`](crate::JobError::Codec).)
impl<T: ByValue> Deref for Broadcast<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let read = || match Self::read(&self.block) {
            Ok(value) => value,
            Err(error) => panic!("this broadcast cannot be read back: {error}"),
        };
        self.value.get_or_init(read)
    }
}

/// What was decoded in this process, and of which block.
struct Kept {
    mark: Mark,
    value: Arc<dyn Any + Send + Sync>,
}

/// As many as are kept of which nobody can tell whether they are of use.
const MOST_KEPT: usize = 16;

static KEPT: PerProcess<Mutex<Vec<Kept>>> = PerProcess::new();

/// Lets go of what is of no use any more, when it is dropped.
struct Sweep;

impl Drop for Sweep {
    fn drop(&mut self) {
        sweep();
    }
}

fn sweep() {
    let mut all = lock(KEPT.get());
    if all.iter().any(|it| it.mark.is_gone()) {
        let (gone, of_use): (Vec<_>, Vec<_>) = all.drain(..).partition(|it| it.mark.is_gone());
        *all = of_use;
        drop(all);
        // Only now: a value's own `Drop` may be anything.
        drop(gone);
    }
}

/// What this process has decoded of that block.
fn kept<T: Send + Sync + 'static>(mark: &Mark) -> Option<Arc<OnceLock<T>>> {
    sweep();
    let all = lock(KEPT.get());
    let found = all.iter().find(|it| it.mark == *mark)?;
    Arc::clone(&found.value).downcast().ok()
}

/// In workers only: the program has its results once, and nobody there would let go of what was decoded.
fn keep(mark: Mark, value: Arc<dyn Any + Send + Sync>) {
    if Family::get().is_ok_and(Family::is_root) {
        return;
    }
    let mut all = lock(KEPT.get());
    let oldest = (all.len() >= MOST_KEPT).then(|| all.remove(0));
    all.push(Kept { mark, value });
    drop(all);
    drop(oldest);
}

impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.block), Arc::clone(&self.value))
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("n_bytes", &(self.block.len() - 1))
            .finish_non_exhaustive()
    }
}

/// Means something only on the way to a job, from one, or in a queue.
impl<T> Serialize for Broadcast<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(&self.block, to)
    }
}

impl<'de, T: ByValue + Send + Sync + 'static> Deserialize<'de> for Broadcast<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let block = travel::deserialize(Self::label(), from)?;
        if block.len() == 0 {
            return Err(D::Error::custom(
                "this broadcast is empty: the data is damaged",
            ));
        }
        let mark = block.mark();
        if let Some(value) = kept(&mark) {
            return Ok(Self::of(block, value));
        }
        let value = Self::read(&block).map_err(D::Error::custom)?;
        let value = Arc::new(OnceLock::from(value));
        keep(mark, Arc::clone(&value) as _);
        Ok(Self::of(block, value))
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests {
    use super::*;
    use crate::shared::testing::Sent;
    use crate::sys::testing::{alone, in_child};
    use crate::{ErrorKind, Value};

    #[test]
    fn it_is_decoded_once_in_a_process_and_let_go_when_it_is_of_no_use() {
        alone(|| {
            crate::start().unwrap();
            in_child(|| {
                let large = vec![7_u64; 2000];
                let first = Broadcast::new(&large).unwrap();
                let sent = Sent::of(&first);
                let [one, other]: [Broadcast<Vec<u64>>; 2] = [(); 2].map(|()| sent.read().unwrap());
                assert_eq!(*one, large);
                assert!(std::ptr::eq(&*one, &*other), "the same value");
                let watched = Arc::downgrade(&one.value);
                drop((one, other, sent));
                assert!(watched.upgrade().is_some(), "for the next job");
                drop(first);
                assert!(watched.upgrade().is_none());
            })
            .succeeds();
        });
    }

    #[test]
    fn the_smallest_value_there_is_comes_through() {
        let nothing = Broadcast::new(&()).unwrap();
        let read: Broadcast<()> = Sent::of(&nothing).read().unwrap();
        assert_eq!((*nothing, *read), ((), ()));
    }

    #[test]
    fn handles_and_what_serde_cannot_write_are_refused() {
        let handle = Broadcast::new(&Value::new(1_u8).unwrap()).unwrap_err();
        assert_eq!(handle.kind(), ErrorKind::InvalidInput);
        assert!(
            handle.to_string().contains("pass them beside it"),
            "{handle}"
        );
    }

    #[test]
    fn another_type_is_refused() {
        let numbers = Broadcast::new(&vec![1_u64]).unwrap();
        let error = Sent::of(&numbers).refusal::<Broadcast<Vec<u32>>>();
        assert!(error.contains("not the name"), "{error}");
    }
}
