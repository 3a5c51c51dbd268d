//! A map that lives in a process of its own.

use std::marker::PhantomData;

use super::table::TableProxy;
use super::{bytes, value};
use crate::argument::ByValue;
use crate::error::Error;

/// A map from `K` to `V` that lives in a process of its own and is used from many, Python's `manager.dict()`.
///
/// A handle: clones and copies passed to jobs name the same map, which ends with the last clone of the one that made it. Two keys are
/// the same where serde writes them alike. Every call goes to the map's process and is an [`Error`] where that has
/// ended.
///
/// ```
/// use procession::{Dict, process_job, spawn};
///
/// #[process_job]
/// fn count(words: Dict<String, u64>, text: &str) -> Result<(), procession::Error> {
///     for word in text.split(' ') {
///         words.update(word.to_owned(), |count| Some(count.unwrap_or(0) + 1))?;
///     }
///     Ok(())
/// }
///
/// let words = Dict::new()?;
/// let jobs = [
///     spawn!(count(words.clone(), "to be or"))?,
///     spawn!(count(words.clone(), "not to be"))?,
/// ];
/// for job in jobs {
///     job.join()??;
/// }
/// assert_eq!(words.get("to".to_owned())?, Some(2));
/// assert_eq!(words.len()?, 4);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Dict<K, V> {
    table: TableProxy,
    types: PhantomData<fn(K) -> V>,
}

impl<K: ByValue, V: ByValue> Dict<K, V> {
    /// An empty one, in a new process.
    ///
    /// # Errors
    ///
    /// As [`spawn!`](crate::spawn).
    ///
    /// ```
    /// let dict = procession::Dict::<u32, String>::new()?;
    /// assert!(dict.is_empty()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Ok(Self::of(TableProxy::new()?))
    }

    /// What is stored under `key`.
    ///
    /// # Errors
    ///
    /// Of kind [`Connection`](crate::ErrorKind::Connection) where the map's process has ended; of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where serde cannot write or read a key or value. So do all other methods.
    ///
    /// ```
    /// let dict = procession::Dict::new()?;
    /// dict.insert(1, "one".to_owned())?;
    /// assert_eq!(dict.get(1)?.as_deref(), Some("one"));
    /// assert_eq!(dict.get(2)?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn get(&self, key: K) -> Result<Option<V>, Error> {
        let cell = self.table.get(bytes(&key)?)?;
        cell.as_deref().map(value).transpose()
    }

    /// Stores `value` under `key` and gives what was there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let dict = procession::Dict::new()?;
    /// assert_eq!(dict.insert(1, 10)?, None);
    /// assert_eq!(dict.insert(1, 11)?, Some(10));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn insert(&self, key: K, value: V) -> Result<Option<V>, Error> {
        let before = self.table.set(bytes(&key)?, Some(bytes(&value)?))?;
        before.as_deref().map(self::value).transpose()
    }

    /// Removes what is stored under `key` and gives it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let dict = procession::Dict::new()?;
    /// dict.insert(1, 10)?;
    /// assert_eq!(dict.remove(1)?, Some(10));
    /// assert_eq!(dict.remove(1)?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn remove(&self, key: K) -> Result<Option<V>, Error> {
        let before = self.table.set(bytes(&key)?, None)?;
        before.as_deref().map(value).transpose()
    }

    /// Replaces what is stored under `key` by what `change` makes of it, `None` being nothing; gives the new value.
    ///
    /// Atomic: nobody's change in between is lost. `change` runs here, and again where somebody else was quicker.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let dict = procession::Dict::new()?;
    /// let add = |n: Option<u64>| Some(n.unwrap_or(40) + 2);
    /// assert_eq!(dict.update("a".to_owned(), add)?, Some(42));
    /// assert_eq!(dict.update("a".to_owned(), |_| None)?, None);
    /// assert!(dict.is_empty()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn update(
        &self,
        key: K,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, Error> {
        self.table.update(bytes(&key)?, |before| {
            let after = change(before.as_deref().map(value).transpose()?);
            Ok((after.as_ref().map(bytes).transpose()?, after))
        })
    }

    /// How many keys there are.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let dict = procession::Dict::new()?;
    /// dict.insert(1, 10)?;
    /// assert_eq!(dict.len()?, 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn len(&self) -> Result<usize, Error> {
        self.table.len()
    }

    /// Whether there are none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// assert!(procession::Dict::<u8, u8>::new()?.is_empty()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// All keys and values as they are at one moment, in no order that means anything.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let dict = procession::Dict::new()?;
    /// dict.insert(1, 10)?;
    /// assert_eq!(dict.items()?, [(1, 10)]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn items(&self) -> Result<Vec<(K, V)>, Error> {
        let entries = self.table.entries()?.into_iter();
        entries
            .map(|(key, value)| Ok((self::value(&key)?, self::value(&value)?)))
            .collect()
    }

    /// Removes everything.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let dict = procession::Dict::new()?;
    /// dict.insert(1, 10)?;
    /// dict.clear()?;
    /// assert!(dict.is_empty()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        self.table.clear()
    }
}

impl<K, V> Dict<K, V> {
    fn of(table: TableProxy) -> Self {
        Self {
            table,
            types: PhantomData,
        }
    }
}

super::handle!(Dict<K, V>, table: TableProxy);
