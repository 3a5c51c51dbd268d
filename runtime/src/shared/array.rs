//! Arrays: a handle, its lock, and the ways to freeze and divide.
//!
//! Responsible for what a handle can do; how an array lies in memory, and the argument for all of it, is in [`layout`]. No
//! element is touched here but by copying, under the lock.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::block::Block;
use super::claim::Claim;
use super::division::Division;
use super::layout::{self, Found, Named, State};
use super::{ArrayChunk, ArrayGuard, LockError, Shareable, SharedSlice, sole};
use crate::error::Error;
use crate::sync::{Acquired, Moment, NotAcquired, RawLock};

/// Elements in shared memory, of one type and a fixed number, with one lock.
///
/// A handle: clone it, pass it to jobs by value or by reference, alone or inside other values, return it from them. All of
/// these are the same array. Its memory is reserved when it is made and given back when the last handle is gone.
///
/// There are four ways to reach its elements:
///
/// | | who else | cost |
/// |---|---|---|
/// | [`get`](Self::get), [`set`](Self::set), [`to_vec`](Self::to_vec) | waits for a moment | the lock, and a copy |
/// | [`lock`](Self::lock): a guard that is a `&mut [T]` | waits | the lock once |
/// | [`freeze`](Self::freeze): a [`SharedSlice`], a `&[T]` | all read at once | nothing |
/// | [`into_chunks`](Self::into_chunks): [`ArrayChunk`]s, each a `&mut [T]` | all write their own at once | nothing |
///
/// ```
/// use procession::{Array, Error, process_job, spawn};
///
/// #[process_job]
/// fn double(array: &Array<i32>) -> Result<(), Error> {
///     array.lock()?.iter_mut().for_each(|x| *x *= 2);
///     Ok(())
/// }
///
/// let array = Array::new([1, 2, 3, 4])?;
/// spawn!(double(&array))?.join()??; // the process's error, and the job's own
/// assert_eq!(array.to_vec(), [2, 4, 6, 8]);
/// # Ok::<(), procession::Error>(())
/// ```
///
/// # More than one dimension
///
/// Memory has one dimension, and so has Python's `Array`. A second one is a *stride* over it: the element in
/// `row` and `column` is the one at `row * width + column`, and a row is one of `chunks_exact(width)`.
///
/// ```
/// use procession::Array;
///
/// let (width, height) = (4, 3);
/// let picture = Array::<u8>::zeroed(width * height)?;
///
/// picture.set(2 * width + 1, 7); // row 2, column 1
///
/// let mut pixels = picture.lock()?;
/// for (row, line) in pixels.chunks_exact_mut(width).enumerate() {
///     line[0] = row as u8; // column 0 of every row
/// }
/// assert_eq!(pixels[..], [0, 0, 0, 0,  1, 0, 0, 0,  2, 7, 0, 0]);
///
/// // A third dimension is a stride once more: (layer * height + row) * width + column.
/// # Ok::<(), procession::Error>(())
/// ```
///
/// Where the last dimensions are known when the program is compiled, they can be the element's type: `Array<[f64; 3]>` is an
/// array of points.
///
/// # Processes that die
///
/// An array outlives every process but the last that has a handle. Where one is killed while it holds the lock, the next
/// one to [`lock`](Self::lock) is told so and gets the guard.
pub struct Array<T> {
    block: Arc<Block>,
    /// Of the state for which this handle is good.
    generation: u64,
    elements: PhantomData<T>,
}

impl<T: Shareable> Array<T> {
    /// An array of these elements.
    ///
    /// # Errors
    ///
    /// The memory cannot be had; or `T` takes no bytes, or is aligned to more than a page.
    ///
    /// ```
    /// use procession::Array;
    ///
    /// let array = Array::new((1..=4).map(|x| x * x))?;
    /// assert_eq!(array.to_vec(), [1, 4, 9, 16]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(elements: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let elements: Vec<T> = elements.into_iter().collect();
        let array = Self::zeroed(elements.len())?;
        let bytes: &[u8] = bytemuck::cast_slice(&elements);
        // Nobody else has heard of this array.
        array.block.write(layout::place::<T>(0), bytes);
        Ok(array)
    }

    /// An array of `len` elements whose bytes are all 0. `len` may be 0.
    ///
    /// # Errors
    ///
    /// The memory cannot be had, which is said at once and not when it is used; or `T` takes no bytes, or is aligned
    /// to more than a page.
    ///
    /// ```
    /// use procession::Array;
    ///
    /// let array = Array::<f64>::zeroed(1000)?;
    /// assert_eq!(array.get(999), Some(0.0));
    /// assert!(Array::<f64>::zeroed(usize::MAX).is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn zeroed(len: usize) -> Result<Self, Error> {
        Ok(Self::at(layout::make::<T>(len)?, 0))
    }

    fn at(block: Arc<Block>, generation: u64) -> Self {
        Self {
            block,
            generation,
            elements: PhantomData,
        }
    }

    /// The number of elements, which never changes.
    ///
    /// ```
    /// # use procession::Array;
    /// assert_eq!(Array::new([1, 2, 3])?.len(), 3);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        layout::count::<T>(&self.block)
    }

    /// Whether there is no element.
    ///
    /// ```
    /// # use procession::Array;
    /// assert!(Array::<u8>::zeroed(0)?.is_empty());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the element at `index`; `None` past the end.
    ///
    /// Waits for the lock, for no longer than others hold it; that a holder died or panicked does not matter
    /// here, see [`LockError`].
    ///
    /// # Panics
    ///
    /// This thread holds the [guard](Self::lock), or the array was frozen or divided meanwhile.
    ///
    /// ```
    /// # use procession::Array;
    /// let array = Array::new([10, 20])?;
    /// assert_eq!(array.get(1), Some(20));
    /// assert_eq!(array.get(2), None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[track_caller]
    pub fn get(&self, index: usize) -> Option<T> {
        if index >= self.len() {
            return None;
        }
        let mut element = T::zeroed();
        let to = bytemuck::bytes_of_mut(&mut element);
        self.for_a_moment(|block| block.read(layout::place::<T>(index), to));
        Some(element)
    }

    /// Puts a value at `index`. Waits for the lock as [`get`](Self::get) does.
    ///
    /// # Panics
    ///
    /// `index` is past the end; this thread holds the [guard](Self::lock); or the array was frozen or divided
    /// meanwhile.
    ///
    /// ```
    /// # use procession::Array;
    /// let array = Array::new([10, 20])?;
    /// array.set(1, 21);
    /// assert_eq!(array.to_vec(), [10, 21]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[track_caller]
    pub fn set(&self, index: usize, value: T) {
        let len = self.len();
        assert!(
            index < len,
            "index {index} is out of range for an array of {len} elements"
        );
        let bytes = bytemuck::bytes_of(&value);
        self.for_a_moment(|block| block.write(layout::place::<T>(index), bytes));
    }

    /// A copy of all elements, as they were at one moment. Waits for the lock as [`get`](Self::get) does.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// # use procession::Array;
    /// assert_eq!(Array::new([1.5, 2.5])?.to_vec(), [1.5, 2.5]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        let mut elements = vec![T::zeroed(); self.len()];
        let to = bytemuck::cast_slice_mut(&mut elements);
        self.for_a_moment(|block| block.read(layout::place::<T>(0), to));
        elements
    }

    /// Waits for the lock and gives the elements for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// - [`LockError::OwnerDied`] and [`LockError::Poisoned`], with the guard: somebody was killed or panicked in the middle of a
    ///   change.
    /// - [`LockError::AlreadyHeld`]: this thread has the guard already.
    /// - [`LockError::Detached`]: the array was frozen or divided meanwhile.
    ///
    /// # Panics
    ///
    /// In a process forked from the one that has this handle, where the array cannot be mapped again.
    ///
    /// ```
    /// use procession::{Array, LockError};
    ///
    /// let array = Array::new([2, 1])?;
    /// let mut guard = array.lock()?;
    /// guard.swap(0, 1);
    /// assert!(matches!(array.lock(), Err(LockError::AlreadyHeld)));
    /// assert_eq!(guard[..], [1, 2]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn lock(&self) -> Result<ArrayGuard<T>, LockError<ArrayGuard<T>>> {
        loop {
            if let Some(guard) = self.attempt(|lock| lock.acquire(None))? {
                return Ok(guard);
            }
        }
    }

    /// As [`lock`](Self::lock), but `None` at once where somebody else holds the lock.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// # use procession::Array;
    /// let array = Array::new([1, 2])?;
    /// let guard = array.lock()?;
    /// std::thread::scope(|threads| {
    ///     threads.spawn(|| assert!(array.try_lock().is_ok_and(|guard| guard.is_none())));
    /// });
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<Option<ArrayGuard<T>>, LockError<ArrayGuard<T>>> {
        self.attempt(RawLock::try_acquire)
    }

    /// As [`lock`](Self::lock), but `None` where somebody else has held the lock for all of `timeout`.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// # use procession::Array;
    /// use std::time::Duration;
    ///
    /// let array = Array::new([1, 2])?;
    /// if let Some(mut guard) = array.lock_timeout(Duration::from_millis(10))? {
    ///     guard[0] = 5;
    /// }
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<ArrayGuard<T>>, LockError<ArrayGuard<T>>> {
        // A time that cannot be reckoned never comes.
        let deadline = Instant::now().checked_add(timeout);
        self.attempt(|lock| lock.acquire(deadline))
    }

    /// Makes it read-only for all processes, for good, without a copy.
    ///
    /// The elements are as they are: that somebody died or panicked in the middle of a change is not told here. Where that
    /// matters, [`lock`](Self::lock) the array once before.
    ///
    /// # Errors
    ///
    /// Somebody else has a handle of this array (another clone, a job that was given one and is not over), its guard, or its name
    /// on the way to somebody; the error says who, and those still have the array. Or it was frozen or divided
    /// already, or the system refuses to protect it. Only this handle is lost by an error.
    ///
    /// ```
    /// use procession::Array;
    ///
    /// let array = Array::new([1, 2, 3])?;
    /// let another = array.clone();
    /// let error = array.freeze().unwrap_err();
    /// assert!(error.to_string().contains("this process has another handle"));
    ///
    /// let slice = another.freeze()?;
    /// assert_eq!(slice[..], [1, 2, 3]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn freeze(self) -> Result<SharedSlice<T>, Error> {
        let next = State::frozen(self.generation + 1);
        let block = sole::change(self.block, self.generation, "freeze", next)?;
        SharedSlice::new(block)
    }

    /// Divides it into `n` chunks that can be written at the same time, without a lock and without a copy.
    ///
    /// They cover the array in order, and their lengths differ by 1 at most: of 10 elements in 4 chunks they are 3, 3, 2 and
    /// 2. There are always `n`: of more than there are elements, the last ones are empty. [`from_chunks`](Self::from_chunks) makes an
    /// array of them again.
    ///
    /// # Errors
    ///
    /// `n` is 0, or the memory to note the chunks' owners cannot be had: the array is then gone with this handle, if it was the
    /// last. Otherwise as [`freeze`](Self::freeze).
    ///
    /// ```
    /// use procession::Array;
    ///
    /// let chunks = Array::<u8>::zeroed(10)?.into_chunks(4)?;
    /// let ranges: Vec<_> = chunks.iter().map(|chunk| chunk.range()).collect();
    /// assert_eq!(ranges, [0..3, 3..6, 6..8, 8..10]);
    ///
    /// let lengths: Vec<_> = Array::<u8>::zeroed(1)?.into_chunks(3)?.iter().map(|chunk| chunk.len()).collect();
    /// assert_eq!(lengths, [1, 0, 0]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn into_chunks(self, n: usize) -> Result<Vec<ArrayChunk<T>>, Error> {
        if n == 0 {
            return Err(Error::invalid_input(
                "an array cannot be divided into 0 chunks: at least one is needed to hold it",
            ));
        }
        let generation = self.generation + 1;
        let words = Division::words(n)?;
        let mut chunks = Vec::new();
        chunks.try_reserve_exact(n).map_err(|_too_many| {
            Error::invalid_input(format!("there is no memory for {n} chunks of an array"))
        })?;
        let next = State::divided(generation);
        let block = sole::change(self.block, self.generation, "divide", next)?;
        let division = Division::new(block, words, generation);
        chunks.extend((0..n).map(|index| ArrayChunk::new(division.first_claim(index))));
        Ok(chunks)
    }

    /// Joins the chunks of one array, in any order, and makes it an array again.
    ///
    /// All chunks must be there, but for those that nobody has: whose process has died (a crashed worker does not cost
    /// the picture; they come back with what it had written), or that were sent and not taken, by a job that
    /// was cancelled, say. Who takes such a chunk later is told that it is gone.
    ///
    /// # Errors
    ///
    /// There is no chunk, or they are of different arrays; or one is missing, which the error names: a living process has it,
    /// or it was dropped. The chunks that were given are not lost then: once the missing one is there, joining it
    /// alone brings them all back.
    ///
    /// ```
    /// use procession::Array;
    ///
    /// let mut chunks = Array::<u32>::zeroed(100)?.into_chunks(3)?;
    /// std::thread::scope(|threads| {
    ///     for chunk in &mut chunks {
    ///         threads.spawn(|| {
    ///             let first = chunk.range().start as u32;
    ///             for (x, i) in chunk.iter_mut().zip(first..) {
    ///                 *x = i * i;
    ///             }
    ///         });
    ///     }
    /// });
    /// let array = Array::from_chunks(chunks)?;
    /// assert_eq!(array.get(99), Some(9801));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn from_chunks(chunks: impl IntoIterator<Item = ArrayChunk<T>>) -> Result<Self, Error> {
        let claims: Vec<Arc<Claim>> = chunks.into_iter().map(ArrayChunk::into_claim).collect();
        let (block, generation) = Division::join(&claims)?;
        Ok(Self::at(block, generation))
    }

    /// This process's mapping of it.
    #[track_caller]
    fn here(&self) -> Arc<Block> {
        layout::in_this_process(&self.block)
            .unwrap_or_else(|error| panic!("a forked process cannot use this array: {error}"))
    }

    /// Acquires the lock; the handle may turn out to be stale only then.
    fn attempt(
        &self,
        acquire: impl FnOnce(&RawLock) -> Result<Acquired, NotAcquired>,
    ) -> Result<Option<ArrayGuard<T>>, LockError<ArrayGuard<T>>> {
        let block = self.here();
        let lock = layout::lock(&block);
        let acquired = acquire(lock);
        if acquired.is_ok() && layout::state(&block) != State::shared(self.generation) {
            lock.release(false);
            return Err(LockError::Detached);
        }
        LockError::after(acquired, || ArrayGuard::new(block))
    }

    /// Does something that cannot panic under the lock.
    #[track_caller]
    fn for_a_moment(&self, act: impl FnOnce(&Block)) {
        let block = self.here();
        let moment = Moment::of(&block)
            .expect("this thread has the guard of this array: use the guard, or drop it first");
        let is_current = layout::state(&block) == State::shared(self.generation);
        if is_current {
            act(&block);
        }
        drop(moment);
        assert!(
            is_current,
            "this array was frozen or divided into chunks meanwhile: use the slice or the chunks"
        );
    }
}

impl<T: Shareable> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self::at(Arc::clone(&self.block), self.generation)
    }
}

impl<T: Shareable> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (Named(&self.block), self.generation).serialize(to)
    }
}

impl<'de, T: Shareable> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (found, generation) = <(Found<Self>, u64)>::deserialize(from)?;
        Ok(Self::at(found.hidden()?, generation))
    }
}

impl<T: Shareable> fmt::Debug for Array<T> {
    /// Without the elements, which would need the lock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
