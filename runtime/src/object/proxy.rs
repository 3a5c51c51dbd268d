//! The side of the callers.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::server::{host, serve};
use super::{Object, Reply, Request, decode, encode};
use crate::argument::ByValue;
use crate::call::JobCall;
use crate::codec::CodecError;
use crate::connection::{Address, Client, Connection, Listener, ToAddress, random_key};
use crate::error::{Error, JobError};
use crate::process::Process;
use crate::sync::Event;
use crate::sys;

/// How often a wait for a server that starts looks whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What a proxy type of `#[process_object]` is made of. Not for use by hand.
#[doc(hidden)]
pub struct Proxy<O> {
    address: Address,
    key: Arc<[u8]>,
    /// Where the server is a process of this proxy's, or of the one that it was cloned from.
    server: Option<Arc<Process<Result<(), Error>>>>,
    /// Made by the first call, by the process of this number: a fork makes one of its own.
    line: Mutex<Option<(u32, Line<O>)>>,
}

type Line<O> = Connection<Request<O>, Reply>;

impl<O: Object> Proxy<O> {
    /// Has the object made in a process of its own, which ends with the last clone of this proxy.
    pub fn spawn<A: ByValue>(constructor: u32, args: A) -> Result<Self, Error> {
        let args = encode(&args).map_err(invalid)?;
        let key = random_key()?;
        let name: String = random_key()?[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let address = Address::Abstract(format!("procession-object-{name}"));
        let (text, ready) = (address.to_string(), Event::new()?);
        let job = host::<O> { job: PhantomData };
        let call = JobCall::new(job).infer();
        let mut server = call.spawn((text, key, constructor, args, ready.clone()))?;
        while !ready.wait_timeout(LOOK) {
            // It serves without end, so whatever it says is why it does not.
            if let Some(ended) = server.join_timeout(Duration::ZERO)? {
                ended?;
            }
        }
        Ok(Self {
            server: Some(Arc::new(server)),
            ..Self::at(address, &key)
        })
    }

    /// To an object that another program serves.
    pub fn connect(address: impl ToAddress, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        let this = Self::at(address.to_address()?, key.as_ref());
        let line = this.open()?;
        *this.lock() = Some((sys::pid(), line));
        Ok(this)
    }

    /// Serves `object` to whoever connects, without end.
    pub fn serve(object: O, listener: &Listener) -> Result<(), Error> {
        serve(object, listener)
    }

    /// Calls the method of this number.
    pub fn call<A: ByValue, R: ByValue>(&self, method: u32, args: A) -> Result<R, Error> {
        let request = Request {
            method,
            args: encode(&args).map_err(invalid)?,
            object: PhantomData,
        };
        let mut line = self.lock();
        // That of another process is not ours to use, nor to close in an orderly way.
        let open = line.take().filter(|(owner, _)| *owner == sys::pid());
        let open = open.map_or_else(|| self.open(), |(_, open)| Ok(open))?;
        open.send(request)?;
        let reply = open.recv()?;
        // Kept only after a whole call: what comes next is the answer to the next one.
        *line = Some((sys::pid(), open));
        drop(line);
        match reply {
            Ok(bytes) => decode(&bytes).map_err(invalid),
            Err(Err(message)) => Err(Error::invalid_input(message)),
            Err(Ok(message)) => Err(Error::from(JobError::Panicked {
                message,
                location: String::new(),
                backtrace: String::new(),
            })),
        }
    }

    fn open(&self) -> Result<Line<O>, Error> {
        Ok(Client::connect(&self.address, &self.key)?)
    }
}

impl<O> Proxy<O> {
    fn at(address: Address, key: &[u8]) -> Self {
        Self {
            address,
            key: key.into(),
            server: None,
            line: Mutex::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(u32, Line<O>)>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process of the object, where this program has made it.
    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.pid())
    }
}

/// Another proxy to the same object, with a line of its own.
impl<O> Clone for Proxy<O> {
    fn clone(&self) -> Self {
        Self {
            server: self.server.clone(),
            ..Self::at(self.address.clone(), &self.key)
        }
    }
}

/// Its address and its key: who gets them can call.
impl<O> Serialize for Proxy<O> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.address.to_string(), &self.key[..]).serialize(to)
    }
}

impl<'de, O> Deserialize<'de> for Proxy<O> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (address, key) = <(String, Vec<u8>)>::deserialize(from)?;
        let address = address.to_address().map_err(D::Error::custom)?;
        Ok(Self::at(address, &key))
    }
}

impl<O> fmt::Debug for Proxy<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn invalid(error: CodecError) -> Error {
    Error::invalid_input(error.to_string())
}
