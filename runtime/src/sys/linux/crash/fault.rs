//! SIGSEGV and SIGBUS: a few words before the signal does its work.
//!
//! Responsible for telling a stack overflow of the main thread from any other fault, and for saying so on standard
//! error and in the last words. Does not save anything: the process dies by the signal it met.
//!
//! Rust's start-up code installs such a handler in `main`, which a worker under ForkServer has never reached; under
//! Fork this one takes its place.
//!
//! See sigaltstack(2), sigaction(2), pthread_getattr_np(3).
//!
//! # Safety
//!
//! The handler may interrupt anything, on the main thread's alternate stack or on any other thread's own. It reads
//! atomics, writes to the words and to descriptor 2, and allocates nothing.
#![expect(
    unsafe_code,
    reason = "signal handlers, the alternate stack and the bounds of the main stack"
)]

use std::ffi::c_void;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::words::{self, WordsBuffer};
use crate::sys::signals;
use crate::sys::stack::GuardedStack;

/// The sentence that a Rust program's own handler prints.
const OVERFLOW_ON_STDERR: &str =
    "\nthread 'main' has overflowed its stack\nfatal runtime error: stack overflow\n";

const OVERFLOW_IN_WORDS: &str = "thread 'main' has overflowed its stack (stack overflow)";

/// For the handler's frames and for the state that the kernel saves (some 11 KiB with AVX-512 and AMX).
const ALTERNATE_STACK_BYTES: usize = 64 * 1024;

/// What the kernel keeps free below a stack that grows (`stack_guard_gap`, 256 pages): a function with a large
/// frame may fault anywhere in it.
const KERNEL_GUARD_BYTES: usize = 1 << 20;

/// Faults so close above the lowest address of the stack are an overflow too: the C libraries round it differently.
const ROUNDING_BYTES: usize = 64 * 1024;

/// Where a fault means that the main thread's stack has overflowed: from here …
static GUARD_START: AtomicUsize = AtomicUsize::new(0);
/// … to here.
static GUARD_END: AtomicUsize = AtomicUsize::new(0);

/// Gives the calling thread, which is the main thread, an alternate stack, and SIGSEGV and SIGBUS a handler.
///
/// From now on the panic hook writes to `words`, too.
///
/// # Errors
///
/// Those of the kernel, when it has no memory for the stack.
pub(crate) fn install(words: WordsBuffer) -> io::Result<()> {
    if GUARD_END.load(Ordering::Relaxed) == 0 {
        note_this_stack()?;
    }
    words::set_for_this_process(words);

    // Never freed: the thread may fault until it ends.
    let stack = ManuallyDrop::new(GuardedStack::new(ALTERNATE_STACK_BYTES)?);
    let stack = libc::stack_t {
        ss_sp: stack.base(),
        ss_flags: 0,
        ss_size: stack.bytes(),
    };
    // SAFETY: the memory is this thread's alone, and stays.
    if unsafe { libc::sigaltstack(&stack, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) = on_fault;
        let flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the flags promise the type of `on_fault`, which keeps to the rules in this file's head.
        unsafe { signals::set_handler(signal, handler as libc::sighandler_t, flags) }?;
    }
    Ok(())
}

/// Where running over the end of this thread's stack is a fault. Known from then on in every process that this thread
/// forks: the C library reads it from `/proc` each time it is asked.
pub(crate) fn note_this_stack() -> io::Result<()> {
    let lowest = lowest_address_of_this_stack()?;
    // Relaxed, all of them: the handler runs on this thread, or on one that is started later.
    GUARD_START.store(lowest.saturating_sub(KERNEL_GUARD_BYTES), Ordering::Relaxed);
    GUARD_END.store(lowest.saturating_add(ROUNDING_BYTES), Ordering::Relaxed);
    Ok(())
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel's, valid while the handler runs.
    let info = unsafe { &*info };
    // A number up to 0 means that a process sent it, and there is no address.
    let was_sent = info.si_code <= 0;
    if was_sent {
        say(format_args!("signal {signal} was sent to the process"));
    } else {
        // SAFETY: both signals have an address when the kernel raises them.
        let address = unsafe { info.si_addr() }.addr();
        let guard = GUARD_START.load(Ordering::Relaxed)..GUARD_END.load(Ordering::Relaxed);
        if guard.contains(&address) {
            say(format_args!("{OVERFLOW_IN_WORDS}"));
            let text = OVERFLOW_ON_STDERR;
            // SAFETY: a constant text. What cannot be written is lost.
            unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
        } else if signal == libc::SIGBUS {
            say(format_args!("bus error at {address:#x}"));
        } else {
            say(format_args!("segmentation fault at {address:#x}"));
        }
    }
    // The handler returns to the instruction that faulted, which does it again, and the kernel kills.
    // SAFETY: no function is named.
    let _ = unsafe { signals::set_handler(signal, libc::SIG_DFL, 0) };
    if was_sent {
        // SAFETY: no memory is involved. Held back until the handler returns.
        unsafe { libc::raise(signal) };
    }
}

fn say(text: std::fmt::Arguments<'_>) {
    if let Some(words) = words::of_this_process() {
        words.say(text);
    }
}

/// How far down this thread's stack may grow.
fn lowest_address_of_this_stack() -> io::Result<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: asks for a number.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the attributes live through the call, which fills them.
    let failed = unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    let mut lowest = ptr::null_mut();
    let mut bytes = 0;
    // SAFETY: filled by the call before; both places live through this one.
    let failed =
        unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &mut lowest, &mut bytes) };
    // SAFETY: filled above, and not used again.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    Ok(lowest_by_limit(lowest.addr(), bytes))
}

/// musl tells only how far the main thread's stack has grown: there the limit says how far it may.
fn lowest_by_limit(lowest: usize, bytes: usize) -> usize {
    if cfg!(target_env = "gnu") {
        return lowest;
    }
    match nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_STACK) {
        Ok((limit, _)) if limit != libc::RLIM_INFINITY => {
            lowest.min((lowest + bytes).saturating_sub(limit as usize))
        }
        _ => lowest,
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::{leaked_buffer, read};
    use super::*;
    use crate::sys::testing::{alone, in_child};

    /// Words that a child process writes and this one reads.
    fn shared_words() -> WordsBuffer {
        use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
        let bytes = std::num::NonZeroUsize::new(4096).unwrap();
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let memory =
            unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_SHARED) }.unwrap();
        // SAFETY: aligned to a page, never unmapped, and used through the buffer only.
        unsafe { WordsBuffer::new(memory.cast(), bytes.get()) }
    }

    #[expect(unconditional_recursion, reason = "that is the test")]
    fn deeper(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 64]);
        deeper(depth + 1) + frame[0]
    }

    #[test]
    fn a_stack_overflow_dies_by_its_signal_and_says_so() {
        alone(|| {
            let words = shared_words();
            let child = in_child(|| {
                install(words).unwrap();
                std::hint::black_box(deeper(0));
            });
            assert_eq!(child.signal(), Some(libc::SIGSEGV));
            assert_eq!(read(words), OVERFLOW_IN_WORDS);
        });
    }

    #[test]
    fn a_write_to_nowhere_dies_by_its_signal_and_tells_the_address() {
        alone(|| {
            let words = shared_words();
            let child = in_child(|| {
                install(words).unwrap();
                let nowhere = std::hint::black_box(ptr::without_provenance_mut::<u8>(0xdead0));
                // SAFETY: none; the process ends here, which is the test.
                unsafe { nowhere.write_volatile(1) };
            });
            assert_eq!(child.signal(), Some(libc::SIGSEGV));
            assert_eq!(read(words), "segmentation fault at 0xdead0");
        });
    }

    #[test]
    fn a_signal_that_was_sent_still_kills() {
        alone(|| {
            let words = shared_words();
            let child = in_child(|| {
                install(words).unwrap();
                // SAFETY: no memory is involved.
                unsafe { libc::raise(libc::SIGBUS) };
            });
            assert_eq!(child.signal(), Some(libc::SIGBUS));
            assert_eq!(read(words), "signal 7 was sent to the process");
        });
    }

    #[test]
    fn the_buffer_of_the_latest_install_is_used() {
        alone(|| {
            let (first, second) = (leaked_buffer(64), shared_words());
            let child = in_child(|| {
                install(first).unwrap();
                install(second).unwrap();
                // SAFETY: no memory is involved.
                unsafe { libc::raise(libc::SIGSEGV) };
            });
            assert_eq!(child.signal(), Some(libc::SIGSEGV));
            assert!(!read(second).is_empty());
        });
    }
}
