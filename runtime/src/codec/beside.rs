//! What travels beside the bytes: things whose names are in the bytes, and which have to last until these are read.
//!
//! A handle of shared memory is written through serde like any value, somewhere inside a struct or a vector. Its
//! `Serialize` asks here under which tag it goes, and leaves what keeps it alive, a [`Passenger`], to the encoder. Where
//! nobody collects passengers (a handle written to a file, say) it is told so, and refuses.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::sync::Arc;

/// Something whose name is in the bytes.
pub(crate) trait Passenger: Any + Send + Sync + fmt::Debug {
    /// Whether it has to last until the bytes are read; else only until it departs.
    fn lasts(&self) -> bool {
        true
    }

    /// The value that it was written from has been dropped, unless somebody else keeps a part of it.
    fn depart(self: Arc<Self>) {}

    /// The bytes are not sent after all: its name in them, given under `tag`, will never be read.
    fn recall(&self, _tag: u64) {}
}

/// The passengers of one encoder.
pub(crate) type Passengers = Vec<Arc<dyn Passenger>>;

#[derive(Debug)]
struct Journey {
    tag: u64,
    passengers: Passengers,
}

thread_local! {
    static JOURNEY: RefCell<Option<Journey>> = const { RefCell::new(None) };
}

/// Collects the passengers of what `write` writes.
#[inline]
pub(super) fn travelling<R>(tag: u64, passengers: &mut Passengers, write: impl FnOnce() -> R) -> R {
    let own = Journey {
        tag,
        passengers: mem::take(passengers),
    };
    // A value may be sent in the middle of another's `Serialize`: journeys nest. A panic on the way leaves this journey
    // standing for a moment; the encoder it belonged to is gone by then, and the next one puts its own in its place.
    let outer = JOURNEY.replace(Some(own));
    let result = write();
    if let Some(own) = JOURNEY.replace(outer) {
        *passengers = own.passengers;
    }
    result
}

/// The tag under which what is being written travels: 0 where its sender keeps it until it is read, else that of
/// the one who has to see to it. `None` where it does not travel to another process of the program.
pub(crate) fn tag() -> Option<u64> {
    JOURNEY.with_borrow(|journey| journey.as_ref().map(|journey| journey.tag))
}

/// Has something travel beside what is being written.
pub(crate) fn embark(passenger: Arc<dyn Passenger>) {
    JOURNEY.with_borrow_mut(|journey| {
        if let Some(journey) = journey {
            journey.passengers.push(passenger);
        }
    });
}
