//! stub until the lock's clone lands
mod notice;
mod raw_lock;

pub(crate) use notice::Notice;
pub(crate) use raw_lock::{Acquired, NotAcquired, RawLock};
