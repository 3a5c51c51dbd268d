//! stub until the lock's clone lands
mod event;
mod lock;
mod notice;
mod raw_lock;

pub(crate) use notice::Notice;
pub(crate) use raw_lock::{Acquired, NotAcquired, RawLock};

pub use event::Event;
pub(crate) use lock::Held;
pub use lock::{Lock, LockGuard};

pub use crate::shared::LockError;
