//! A list that lives in a process of its own.

use std::marker::PhantomData;

use super::sequence::SequenceProxy;
use super::{bytes, value};
use crate::argument::ByValue;
use crate::error::Error;

/// A list of `T` that lives in a process of its own and is used from many, Python's `manager.list()`.
///
/// A handle: clones and copies passed to jobs name the same list, which ends with the last clone of the one that made it. Every
/// call goes to the list's process and is an [`Error`] where that has ended. Lists of numbers that many read and write are
/// an [`Array`](crate::Array), which has no process between.
///
/// ```
/// use procession::{List, process_job, spawn};
///
/// #[process_job]
/// fn find(found: List<String>, text: &str) -> Result<(), procession::Error> {
///     found.extend(text.split(' ').filter(|word| word.len() > 2).map(str::to_owned))
/// }
///
/// let found = List::new()?;
/// spawn!(find(found.clone(), "to be or not to be"))?.join()??;
/// assert_eq!(found.to_vec()?, ["not"]);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct List<T> {
    items: SequenceProxy,
    types: PhantomData<fn(T) -> T>,
}

impl<T: ByValue> List<T> {
    /// An empty one, in a new process.
    ///
    /// # Errors
    ///
    /// As [`spawn!`](crate::spawn).
    ///
    /// ```
    /// let list = procession::List::<String>::new()?;
    /// assert!(list.is_empty()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        SequenceProxy::new().map(Self::of)
    }

    /// Adds an item at the end.
    ///
    /// # Errors
    ///
    /// Of kind [`Connection`](crate::ErrorKind::Connection) where the list's process has ended; of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where serde cannot write or read an item. So do all other methods.
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.push(1)?;
    /// assert_eq!(list.get(0)?, Some(1));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn push(&self, item: T) -> Result<(), Error> {
        self.items.append(vec![bytes(&item)?])
    }

    /// Adds items at the end, all at one moment.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.extend(1..4)?;
    /// assert_eq!(list.to_vec()?, [1, 2, 3]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn extend(&self, items: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let items = items.into_iter().map(|item| bytes(&item));
        self.items.append(items.collect::<Result<_, _>>()?)
    }

    /// Takes the last item; `None` from an empty list.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.push("one".to_owned())?;
    /// assert_eq!(list.pop()?.as_deref(), Some("one"));
    /// assert_eq!(list.pop()?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn pop(&self) -> Result<Option<T>, Error> {
        self.items.pop()?.as_deref().map(value).transpose()
    }

    /// The item at `place`, counted from 0; `None` behind the end.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.extend([1, 2])?;
    /// assert_eq!([list.get(1)?, list.get(2)?], [Some(2), None]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn get(&self, place: usize) -> Result<Option<T>, Error> {
        self.items.get(place)?.as_deref().map(value).transpose()
    }

    /// Puts `item` in the place of another, and gives that; `None` behind the end, where nothing is stored.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.push(1)?;
    /// assert_eq!([list.set(0, 7)?, list.set(1, 8)?], [Some(1), None]);
    /// assert_eq!(list.to_vec()?, [7]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn set(&self, place: usize, item: T) -> Result<Option<T>, Error> {
        let before = self.items.set(place, bytes(&item)?)?;
        before.as_deref().map(value).transpose()
    }

    /// Replaces the item at `place` by what `change` makes of it, and gives the new one; `None` behind the end.
    ///
    /// Atomic: nobody's change in between is lost. `change` runs here, and again where somebody else was quicker.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.push(40)?;
    /// assert_eq!(list.update(0, |n| n + 2)?, Some(42));
    /// assert_eq!(list.update(1, |n| n + 2)?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn update(&self, place: usize, mut change: impl FnMut(T) -> T) -> Result<Option<T>, Error> {
        self.items.update(place, |before| {
            let after = change(value(before)?);
            Ok((bytes(&after)?, after))
        })
    }

    /// Puts an item before the one at `place`, or at the end.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), and of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) behind the end.
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.extend([1, 3])?;
    /// list.insert(1, 2)?;
    /// assert_eq!(list.to_vec()?, [1, 2, 3]);
    /// assert!(list.insert(9, 9).is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn insert(&self, place: usize, item: T) -> Result<(), Error> {
        self.items.insert(place, bytes(&item)?)?.map_err(|len| {
            Error::invalid_input(format!(
                "place {place} is behind the end of a list of {len}: `push` puts an item there"
            ))
        })
    }

    /// Takes the item at `place`, and those behind it move up; `None` behind the end.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.extend([1, 2, 3])?;
    /// assert_eq!([list.remove(0)?, list.remove(7)?], [Some(1), None]);
    /// assert_eq!(list.to_vec()?, [2, 3]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn remove(&self, place: usize) -> Result<Option<T>, Error> {
        self.items.remove(place)?.as_deref().map(value).transpose()
    }

    /// How many items there are.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.push(1)?;
    /// assert_eq!(list.len()?, 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn len(&self) -> Result<usize, Error> {
        self.items.len()
    }

    /// Whether there are none.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// assert!(procession::List::<u8>::new()?.is_empty()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// All items as they are at one moment.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.push(1)?;
    /// assert_eq!(list.to_vec()?, [1]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        let items = self.items.items()?;
        items.iter().map(|item| value(item)).collect()
    }

    /// Removes everything.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// ```
    /// let list = procession::List::new()?;
    /// list.push(1)?;
    /// list.clear()?;
    /// assert!(list.is_empty()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        self.items.clear()
    }
}

impl<T> List<T> {
    fn of(items: SequenceProxy) -> Self {
        Self {
            items,
            types: PhantomData,
        }
    }
}

super::handle!(List<T>, items: SequenceProxy);
