//! What travels beside the bytes: things whose names are in the bytes, and which have to last until these are read.
//!
//! A handle of shared memory is written through serde like any value, somewhere inside a struct or a vector. Its
//! `Serialize` asks here under which tag it goes, and leaves what keeps it alive, a [`Passenger`], to the encoder. Where
//! nobody collects passengers (a handle written to a file, say) it is told so, and refuses.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::LocalKey;

use super::Decoder;

/// Something whose name is in the bytes.
pub(crate) trait Passenger: Any + Send + Sync + fmt::Debug {
    /// The value that it was written from has been dropped, unless somebody else keeps a part of it.
    fn depart(self: Arc<Self>) {}

    /// The bytes, where it is lent, are only sent now: whoever reads them will ask the supervisor that there is by now.
    fn lend_again(&self) -> io::Result<()> {
        Ok(())
    }

    /// The bytes are not sent after all: its name in them, given under `tag`, will never be read.
    fn recall(&self, _tag: u64) {}
}

/// The passengers of one encoder.
pub(crate) type Passengers = Vec<Arc<dyn Passenger>>;

#[derive(Debug, Default)]
struct Journey {
    tag: u64,
    passengers: Passengers,
}

thread_local! {
    static IS_READING: Cell<bool> = const { Cell::new(false) };
    static IS_ABROAD: Cell<bool> = const { Cell::new(false) };
    static JOURNEY: RefCell<Option<Journey>> = const { RefCell::new(None) };
}

/// Collects the passengers of what `write` writes. If it panics, its bytes go nowhere, and they are recalled.
#[inline]
pub(super) fn travelling<R>(tag: u64, passengers: &mut Passengers, write: impl FnOnce() -> R) -> R {
    let own = Journey {
        tag,
        passengers: mem::take(passengers),
    };
    // A value may be sent in the middle of another's `Serialize`: journeys nest.
    let end = End(JOURNEY.replace(Some(own)));
    let result = write();
    *passengers = end.come().passengers;
    result
}

/// Where a journey ends, and the one that it interrupted goes on.
struct End(Option<Journey>);

impl End {
    #[inline]
    fn come(mut self) -> Journey {
        let own = JOURNEY.replace(self.0.take());
        mem::forget(self);
        own.unwrap_or_default()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let own = JOURNEY.replace(self.0.take());
        recall(own.unwrap_or_default());
    }
}

/// The names of these passengers will never be read.
fn recall(Journey { tag, passengers }: Journey) {
    for passenger in passengers {
        if tag != 0 {
            passenger.recall(tag);
        }
    }
}

/// The tag under which what is being written travels: 0 where its sender keeps it until it is read, else that of
/// the one who has to see to it. `None` where it does not travel to another process of the program.
pub(crate) fn tag() -> Option<u64> {
    if IS_ABROAD.get() {
        return None;
    }
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

/// A name as it is written: two numbers of its owner's, and the tag.
pub(crate) type NameParts = (u64, u32, u64);

/// The names that were given under this tag in bytes of whatever type.
///
/// A tag is a number drawn at random, so where it stands there is a name.
pub(crate) fn names_under(tag: u64, bytes: &[u8]) -> impl Iterator<Item = NameParts> {
    const LEN: usize = size_of::<u64>() + size_of::<u32>() + size_of::<u64>();
    let is_name = move |window: &&[u8]| window.ends_with(&tag.to_le_bytes());
    let names = bytes.windows(LEN).filter(is_name);
    names.filter_map(|window| Decoder::new(window).value().ok())
}

/// Reads what a process of the program has sent.
#[inline]
pub(super) fn reading<R>(read: impl FnOnce() -> R) -> R {
    let _outer = Outer::set(&IS_READING, true);
    read()
}

/// Whether what is being read was sent by a process of the program.
pub(crate) fn is_reading() -> bool {
    IS_READING.get() && !IS_ABROAD.get()
}

/// Writes or reads what crosses to or from another program, where names of ours mean nothing: handles refuse to be
/// written and to be read.
pub(crate) fn abroad<R>(cross: impl FnOnce() -> R) -> R {
    let _outer = Outer::set(&IS_ABROAD, true);
    cross()
}

/// What a flag was before; it is that again when this is dropped, also after a panic on the way.
struct Outer {
    flag: &'static LocalKey<Cell<bool>>,
    value: bool,
}

impl Outer {
    #[inline]
    fn set(flag: &'static LocalKey<Cell<bool>>, value: bool) -> Self {
        let value = flag.replace(value);
        Self { flag, value }
    }
}

impl Drop for Outer {
    #[inline]
    fn drop(&mut self) {
        self.flag.set(self.value);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Recalled(AtomicU64);

    impl Passenger for Recalled {
        fn recall(&self, tag: u64) {
            self.0.fetch_add(tag, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_journey_that_ends_in_a_panic_recalls_its_passengers_and_leaves_the_outer_one_standing() {
        let (inner, outer) = (Arc::new(Recalled::default()), Arc::new(Recalled::default()));
        let mut passengers = Passengers::new();
        travelling(3, &mut passengers, || {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                travelling(5, &mut Passengers::new(), || {
                    embark(Arc::clone(&inner) as _);
                    panic!("in the middle of writing");
                })
            }));
            assert!(panicked.is_err());
            assert_eq!(tag(), Some(3));
            embark(Arc::clone(&outer) as _);
        });
        assert_eq!(passengers.len(), 1);
        assert_eq!(tag(), None);
        assert_eq!(inner.0.load(Ordering::Relaxed), 5);
        assert_eq!(outer.0.load(Ordering::Relaxed), 0);
        assert_eq!(Arc::strong_count(&inner), 1);
    }
}
