//! Named values of several types that live in a process of their own.

use super::table::TableProxy;
use super::{bytes, value};
use crate::argument::ByValue;
use crate::error::Error;

/// Named values, each of its own type, that live in a process of their own and are used from many, Python's `manager.Namespace()`.
///
/// A handle, as a [`Dict`](crate::Dict) is. The type of a value is stored beside it: to read it as another type is an error.
///
/// ```
/// use procession::{Namespace, process_job, spawn};
///
/// #[process_job]
/// fn work(shared: Namespace) -> Result<(), procession::Error> {
///     let limit: u64 = shared.get("limit")?.unwrap_or(10);
///     shared.set("answer", &format!("below {limit}"))
/// }
///
/// let shared = Namespace::new()?;
/// shared.set("limit", &42_u64)?;
/// spawn!(work(shared.clone()))?.join()??;
/// assert_eq!(shared.get::<String>("answer")?.as_deref(), Some("below 42"));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Namespace {
    table: TableProxy,
}

impl Namespace {
    /// One without names, in a new process.
    ///
    /// # Errors
    ///
    /// As [`spawn!`](crate::spawn).
    ///
    /// ```
    /// assert!(procession::Namespace::new()?.names()?.is_empty());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        TableProxy::new().map(Self::of)
    }

    /// The value of this name; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Of kind [`Connection`](crate::ErrorKind::Connection) where its process has ended; of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the value is of another type, or serde cannot write or read it. So do
    /// all other methods.
    ///
    /// ```
    /// let shared = procession::Namespace::new()?;
    /// shared.set("x", &5_u32)?;
    /// assert_eq!(shared.get::<u32>("x")?, Some(5));
    /// assert_eq!(shared.get::<u32>("y")?, None);
    /// let error = shared.get::<String>("x").unwrap_err();
    /// assert!(error.to_string().contains("`x` is of type `u32`"), "{error}");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn get<T: ByValue>(&self, name: &str) -> Result<Option<T>, Error> {
        let cell = self.table.get(name.as_bytes().to_vec())?;
        cell.as_deref().map(|stored| read(name, stored)).transpose()
    }

    /// Gives the name a value, whatever it had.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), but the type before is of no account.
    ///
    /// ```
    /// let shared = procession::Namespace::new()?;
    /// shared.set("x", &5_u32)?;
    /// shared.set("x", &"five".to_owned())?;
    /// assert_eq!(shared.get::<String>("x")?.as_deref(), Some("five"));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn set<T: ByValue>(&self, name: &str, value: &T) -> Result<(), Error> {
        let stored = write(value)?;
        self.table
            .set(name.as_bytes().to_vec(), Some(stored))
            .map(drop)
    }

    /// Replaces the value by what `change` makes of it, `None` being none; gives the new one.
    ///
    /// Atomic: nobody's change in between is lost. `change` runs here, and again where somebody else was quicker.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let shared = procession::Namespace::new()?;
    /// let add = |n: Option<u64>| Some(n.unwrap_or(40) + 2);
    /// assert_eq!(shared.update("n", add)?, Some(42));
    /// assert_eq!(shared.update("n", add)?, Some(44));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn update<T: ByValue>(
        &self,
        name: &str,
        mut change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.table.update(name.as_bytes().to_vec(), |before| {
            let before = before.as_deref().map(|stored| read(name, stored));
            let after = change(before.transpose()?);
            Ok((after.as_ref().map(write).transpose()?, after))
        })
    }

    /// Removes the name; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let shared = procession::Namespace::new()?;
    /// shared.set("x", &5)?;
    /// assert!(shared.remove("x")?);
    /// assert!(!shared.remove("x")?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let before = self.table.set(name.as_bytes().to_vec(), None)?;
        Ok(before.is_some())
    }

    /// The names that have a value, in alphabetical order.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let shared = procession::Namespace::new()?;
    /// shared.set("y", &5)?;
    /// shared.set("x", &true)?;
    /// assert_eq!(shared.names()?, ["x", "y"]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let entries = self.table.entries()?.into_iter();
        Ok(entries
            .map(|(name, _)| String::from_utf8_lossy(&name).into_owned())
            .collect())
    }

    fn of(table: TableProxy) -> Self {
        Self { table }
    }
}

/// A value as it is stored: the name of its type, and its bytes.
fn write<T: ByValue>(value: &T) -> Result<Vec<u8>, Error> {
    bytes(&(type_of::<T>(), bytes(value)?))
}

fn read<T: ByValue>(name: &str, stored: &[u8]) -> Result<T, Error> {
    let (stored_as, bytes): (String, Vec<u8>) = value(stored)?;
    let asked_for = type_of::<T>();
    if stored_as != asked_for {
        return Err(Error::invalid_input(format!(
            "`{name}` is of type `{stored_as}` and was asked for as `{asked_for}`"
        )));
    }
    value(&bytes)
}

/// The same for all processes of a program.
fn type_of<T>() -> String {
    std::any::type_name::<T>().to_owned()
}

super::handle!(Namespace<>, table: TableProxy);
