//! Where a listener is to be found.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::error::Error;

const FORMS: &str =
    "write `unix:/path/of/a/socket`, `unix:@name` for one without a file, or `tcp:host:port`";

/// Where a [`Listener`](super::Listener) is to be found.
///
/// ```
/// use procession::connection::{Address, ToAddress};
///
/// assert_eq!("tcp:127.0.0.1:5000".to_address()?, Address::Tcp(([127, 0, 0, 1], 5000).into()));
/// assert_eq!("unix:/run/my.socket".to_address()?, Address::Unix("/run/my.socket".into()));
/// assert_eq!("unix:@my-service".to_address()?, Address::Abstract("my-service".into()));
/// assert!("somewhere".to_address().is_err());
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A socket in the file system, see `unix(7)`.
    Unix(PathBuf),
    /// A socket of the machine's (of the network namespace's) with a name and without a file, Linux only: see "abstract"
    /// in `unix(7)`. Nothing is left behind by whoever is killed.
    Abstract(String),
    /// A port, see `tcp(7)`. Port 0 for one that is free; [`Listener::address`](super::Listener::address) tells which.
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    /// As text that [`ToAddress`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// What an address can be made of: text, a path, the standard library's `SocketAddr`.
///
/// The text is `unix:/path`, `unix:@name` or `tcp:host:port`, of which the first address that the host's name stands for is
/// taken. A name is looked up by `getaddrinfo(3)` in the calling thread, which takes as long as `resolv.conf(5)` lets it, and no
/// time limit of this crate's counts it: where that matters, look names up beforehand and give a `SocketAddr`. Numbers,
/// `tcp:127.0.0.1:5000`, are not looked up.
///
/// ```
/// use procession::connection::{Address, ToAddress};
///
/// let address = std::path::Path::new("/run/my.socket").to_address()?;
/// assert_eq!(address.to_string(), "unix:/run/my.socket");
/// # Ok::<(), procession::Error>(())
/// ```
pub trait ToAddress {
    /// The address.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) where the text is none, of kind
    /// [`System`](crate::ErrorKind::System) where the host is not found.
    fn to_address(&self) -> Result<Address, Error>;
}

impl ToAddress for str {
    fn to_address(&self) -> Result<Address, Error> {
        let no_address = || Error::invalid_input(format!("`{self}` is no address: {FORMS}"));
        let (family, place) = self.split_once(':').ok_or_else(no_address)?;
        match (family, place.strip_prefix('@')) {
            (_, None) if place.is_empty() => Err(no_address()),
            ("unix", Some(name)) => Ok(Address::Abstract(name.to_owned())),
            ("unix", None) => Ok(Address::Unix(place.into())),
            ("tcp", _) => {
                let found = place
                    .to_socket_addrs()
                    .map_err(|cause| match cause.kind() {
                        io::ErrorKind::InvalidInput => no_address(),
                        _ => Error::system(&format!("find {self}"), cause),
                    })?;
                let first = found.into_iter().next();
                first.map(Address::Tcp).ok_or_else(no_address)
            }
            _ => Err(no_address()),
        }
    }
}

impl ToAddress for String {
    fn to_address(&self) -> Result<Address, Error> {
        self.as_str().to_address()
    }
}

impl ToAddress for Path {
    fn to_address(&self) -> Result<Address, Error> {
        Ok(Address::Unix(self.to_owned()))
    }
}

impl ToAddress for PathBuf {
    fn to_address(&self) -> Result<Address, Error> {
        self.as_path().to_address()
    }
}

impl ToAddress for SocketAddr {
    fn to_address(&self) -> Result<Address, Error> {
        Ok(Address::Tcp(*self))
    }
}

impl ToAddress for Address {
    fn to_address(&self) -> Result<Address, Error> {
        Ok(self.clone())
    }
}

impl<A: ToAddress + ?Sized> ToAddress for &A {
    fn to_address(&self) -> Result<Address, Error> {
        (**self).to_address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "unix:/a/b:c",
            "unix:@a name",
            "tcp:127.0.0.1:80",
            "tcp:[::1]:0",
        ] {
            assert_eq!(text.to_address().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_told_the_forms() {
        for text in [
            "",
            "unix",
            "unix:",
            "tcp:",
            "tcp:localhost",
            "tcp:127.0.0.1:seventy",
            "http://x",
            "127.0.0.1:80",
        ] {
            let error = text.to_address().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.to_string().contains(FORMS), "{error}");
        }
    }
}
