//! The side of the object: takes calls from any number of clients, one at a time.
//!
//! Invariants: a method that panics is an error for its caller, and the object lives on as the panic left it; a client that
//! dies, in a call too, ends its own thread and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Object, Reply, Request};
use crate::connection::{Connection, Listener};
use crate::error::Error;
use crate::sync::Event;
use crate::sys;

/// What a process that serves an object runs.
#[procession_macros::process_job(crate = crate, name = "process_object")]
pub(super) fn host<O: Object>(
    address: &str,
    key: [u8; 32],
    constructor: u32,
    args: Vec<u8>,
    ready: Event,
) -> Result<(), Error> {
    let made = O::make(constructor, &args);
    let object = made.map_err(|error| Error::invalid_input(error.to_string()))?;
    let listener = Listener::bind(address, key)?;
    ready.set();
    serve(object, &listener)
}

/// Serves whoever comes, without end.
pub(super) fn serve<O: Object>(object: O, listener: &Listener) -> Result<(), Error> {
    let object = Arc::new(Mutex::new(object));
    loop {
        let client = listener.accept()?;
        let object = Arc::clone(&object);
        sys::thread::spawn("process_object", move || serve_one(&object, &client))?;
    }
}

/// Answers until the client is gone.
fn serve_one<O: Object>(object: &Mutex<O>, client: &Connection<Reply, Request<O>>) {
    while let Ok(request) = client.recv() {
        if client.send(answer(object, &request)).is_err() {
            break;
        }
    }
}

fn answer<O: Object>(object: &Mutex<O>, request: &Request<O>) -> Reply {
    // A method's panic is its caller's affair: the lock is no more poisoned by it than the object is.
    let mut object = object.lock().unwrap_or_else(PoisonError::into_inner);
    let called = catch_unwind(AssertUnwindSafe(|| {
        object.call(request.method, &request.args)
    }));
    match called {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(Err(error.to_string())),
        Err(panic) => Err(Ok(message(&*panic))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a value that is no text".to_owned())
}
