//! Last words: a text in memory that outlives the process that writes it.
//!
//! Responsible for writing it from anywhere, a signal handler included. Does not own the memory, and does not read it:
//! whoever does must not believe the length, which a process gone mad may have written.
//!
//! ```text
//! 0..4 length in bytes: AtomicU32   4.. the text: AtomicU8 each
//! ```
//!
//! Invariants: never a byte outside the buffer. The length is 0 while the text changes, and stored with release when it
//! stands; a reader loads it with acquire. Only one thread writes at a time, or the text is a mixture: still bounded,
//! and for the reader to make valid UTF-8 of.
//!
//! # Safety
//!
//! Several processes may use the memory at any moment, all by atomic operations, so there is no data race; no
//! reference into it outlives a call. That it stays mapped is the duty of whoever calls [`WordsBuffer::new`].
#![expect(
    unsafe_code,
    reason = "the buffer lies in memory shared between processes"
)]

use std::fmt::{self, Write};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

/// Where one worker puts its last words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordsBuffer {
    start: NonNull<u8>,
    capacity: usize,
}

// SAFETY: the memory is used by atomic operations only, from whatever thread.
unsafe impl Send for WordsBuffer {}
// SAFETY: as above.
unsafe impl Sync for WordsBuffer {}

/// The bytes before the text.
const HEAD_BYTES: usize = size_of::<AtomicU32>();

impl WordsBuffer {
    /// The buffer of `bytes` bytes at `start`; zeroes are an empty text.
    ///
    /// # Safety
    ///
    /// `start` is aligned to 4. The memory stays mapped, readable and writable, as long as this value or a
    /// copy of it is used, and all processes use it by atomic operations only.
    pub(crate) unsafe fn new(start: NonNull<u8>, bytes: usize) -> WordsBuffer {
        WordsBuffer {
            start,
            capacity: bytes.saturating_sub(HEAD_BYTES),
        }
    }

    /// Replaces the text. What does not fit is cut off. Async-signal-safe if the arguments' `Display` is (numbers and
    /// strings are).
    pub(super) fn say(&self, text: fmt::Arguments<'_>) {
        let mut pen = Pen {
            buffer: self,
            n_written: 0,
        };
        // Relaxed: no reader uses the text before the release store below.
        self.length().store(0, Ordering::Relaxed);
        // The pen does not fail: it drops what does not fit.
        let _ = pen.write_fmt(text);
        // Release: pairs with the acquire of the reader.
        self.length().store(pen.n_written as u32, Ordering::Release);
    }

    fn length(&self) -> &AtomicU32 {
        // SAFETY: aligned, mapped and only used atomically, by the contract of `new`.
        unsafe { self.start.cast::<AtomicU32>().as_ref() }
    }

    /// `index` is less than the capacity.
    fn byte(&self, index: usize) -> &AtomicU8 {
        debug_assert!(index < self.capacity);
        // SAFETY: `HEAD_BYTES + capacity` bytes belong to the buffer.
        let place = unsafe { self.start.add(HEAD_BYTES + index) };
        // SAFETY: mapped and only used atomically, by the contract of `new`; a byte is always aligned.
        unsafe { place.cast::<AtomicU8>().as_ref() }
    }
}

/// The words of this process; null before it has any.
static OF_THIS_PROCESS: AtomicPtr<WordsBuffer> = AtomicPtr::new(ptr::null_mut());

/// From now on the handlers of this process write to `words`.
///
/// A worker forked from a job of another worker (a nested pool under Fork) inherits that one's, and replaces it so.
pub(super) fn set_for_this_process(words: WordsBuffer) {
    // Never freed: a handler may be using the one before. Release: pairs with the acquire below.
    OF_THIS_PROCESS.store(Box::into_raw(Box::new(words)), Ordering::Release);
}

/// Where the handlers of this process write, if anywhere. Async-signal-safe.
pub(super) fn of_this_process() -> Option<WordsBuffer> {
    // Acquire: pairs with the release above.
    let words = OF_THIS_PROCESS.load(Ordering::Acquire);
    // SAFETY: null, or a box that was leaked, and that nobody writes to.
    unsafe { words.as_ref() }.copied()
}

/// Appends text up to the end of the buffer.
struct Pen<'b> {
    buffer: &'b WordsBuffer,
    n_written: usize,
}

impl Write for Pen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.buffer.capacity - self.n_written;
        for byte in text.bytes().take(room) {
            self.buffer
                .byte(self.n_written)
                .store(byte, Ordering::Relaxed);
            self.n_written += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn leaked_buffer(bytes: usize) -> WordsBuffer {
        let memory = vec![0_u32; bytes / 4].leak();
        // SAFETY: aligned, leaked, and used through the buffer only.
        unsafe { WordsBuffer::new(NonNull::from(memory).cast(), bytes) }
    }

    /// The text as a reader in another process would find it.
    pub(in super::super) fn read(words: WordsBuffer) -> String {
        // Acquire: pairs with the release in `say`.
        let length = words.length().load(Ordering::Acquire) as usize;
        let bytes = (0..length).map(|index| words.byte(index).load(Ordering::Relaxed));
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
    }

    #[test]
    fn words_are_those_that_were_said_last() {
        let words = leaked_buffer(64);
        assert_eq!(read(words), "");
        words.say(format_args!("a longer first text"));
        words.say(format_args!("grüße"));
        assert_eq!(read(words), "grüße");
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        let words = leaked_buffer(12);
        words.say(format_args!("1234567ü9"));
        assert_eq!(read(words), "1234567\u{fffd}");
        // SAFETY: the memory is not used at all but for its length: there is no room in it.
        let none = unsafe { WordsBuffer::new(words.start, 4) };
        none.say(format_args!("x"));
        assert_eq!(read(none), "");
    }
}
