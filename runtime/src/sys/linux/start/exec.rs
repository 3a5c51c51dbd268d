//! Executing the program's own file in a new process.
//!
//! Responsible for arguments, environment, descriptors and signals of the copy. Does not know what the
//! copy is for, and does not wait for it.
//!
//! The child shares the memory of the program until it executes (as `posix_spawn` does it), so that a program of
//! many gigabytes does not pay for copying its page tables; the thread that calls waits in the kernel until then.
//!
//! Invariants:
//! - The copy has the descriptors 0, 1 and 2 of the program, 3 as given, and nothing else, whatever the program
//!   has open and however it opened it.
//! - No handler of the program's runs in the child: all signals are held back before the child exists, and let
//!   through when no handler is left.
//! - The error of every call in the child comes back to the caller.
//!
//! See clone(2), vfork(2), execve(2), close_range(2), signal-safety(7).
//!
//! # Safety
//!
//! From `clone` to `execve`, two processes run in one memory: the calling thread is suspended, the program's
//! other threads are not. The child runs [`in_child`] and nothing else, on a stack of its own; it makes only
//! async-signal-safe calls, allocates nothing, takes no lock, and writes to its stack, to the [`Order`] and
//! to `errno` of the suspended thread.
#![expect(unsafe_code, reason = "clone, execve and what lies between them")]

use std::ffi::{CString, OsStr, c_char, c_int, c_void};
use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::ptr;

use super::SOCKET_FD;
use super::error::StartError;
use crate::sys::fd::Fd;
use crate::sys::pidfd::Pidfd;
use crate::sys::signals;
use crate::sys::stack::GuardedStack;

/// What the child is to do, and how far it came.
#[derive(Debug)]
struct Order {
    arguments: *const *const c_char,
    environment: *const *const c_char,
    socket: RawFd,
    /// The call that failed, and its errno: written by the child, read by the parent when it runs again.
    failed: Option<(&'static str, i32)>,
}

/// Enough for the calls of [`in_child`] in a debug build, many times over.
const STACK_BYTES: usize = 64 * 1024;

/// Starts a copy of this program with `socket` as its descriptor 3 and one more variable in its environment.
///
/// Returns the new process, a child of this one. The copy has executed by then: an error of `execve` is an
/// error here.
pub(super) fn execute_self(socket: &Fd, variable: (&str, &str)) -> Result<Pidfd, StartError> {
    let arguments = own_arguments().map_err(StartError::proc)?;
    let environment = environment_with(variable);
    let (argument_pointers, environment_pointers) =
        (null_terminated(&arguments), null_terminated(&environment));
    let mut order = Order {
        arguments: argument_pointers.as_ptr(),
        environment: environment_pointers.as_ptr(),
        socket: socket.raw(),
        failed: None,
    };
    let stack = GuardedStack::new(STACK_BYTES).map_err(StartError::system("mmap"))?;
    let mut pidfd: c_int = -1;
    // With CLONE_PIDFD there is no moment in which the child might be reaped by another thread, and its number
    // be somebody else's.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;

    let all_blocked = signals::block_all().map_err(StartError::system("rt_sigprocmask"))?;
    // SAFETY: `in_child` keeps to the rules in this file's head; stack, order and what it points to live until this
    // call returns, and CLONE_VFORK lets it return only when the child has executed or ended.
    let pid = unsafe {
        libc::clone(
            in_child,
            stack.top(),
            flags,
            (&raw mut order).cast::<c_void>(),
            &raw mut pidfd,
        )
    };
    let clone_error = io::Error::last_os_error();
    drop(all_blocked);

    if pid < 0 {
        return Err(StartError::system("clone")(clone_error));
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = Pidfd::from_fd(Fd::from(unsafe { OwnedFd::from_raw_fd(pidfd) }));
    // SAFETY: the child that wrote it no longer runs in this memory. Volatile, since the compiler does not see
    // that write.
    match unsafe { (&raw const order.failed).read_volatile() } {
        None => Ok(pidfd),
        Some((call, errno)) => {
            super::launch::reap(&pidfd);
            Err(StartError::system(call)(io::Error::from_raw_os_error(
                errno,
            )))
        }
    }
}

/// The child's whole life, up to `execve`. The number it returns is its exit code.
extern "C" fn in_child(order: *mut c_void) -> c_int {
    let order = order.cast::<Order>();
    // SAFETY: `execute_self` passed it and is suspended; no other thread knows of it.
    let order = unsafe { &mut *order };
    let call = execute(order);
    order.failed = Some((call, errno()));
    127
}

/// Makes the calls; returns the name of the one that failed.
fn execute(order: &Order) -> &'static str {
    // First, while all signals are still held back. What is ignored now stays so in the copy, which thus
    // survives a Ctrl-C from its first instruction on.
    signals::ignore_for_supervisor();

    if order.socket == SOCKET_FD {
        // SAFETY: a descriptor of this process's own table.
        if unsafe { libc::fcntl(SOCKET_FD, libc::F_SETFD, 0) } < 0 {
            return "fcntl(F_SETFD)";
        }
    } else {
        // SAFETY: as above; whatever the program has as descriptor 3 is closed in this process only.
        if unsafe { libc::dup2(order.socket, SOCKET_FD) } < 0 {
            return "dup2";
        }
    }
    if order.socket < SOCKET_FD {
        // The program had closed a standard stream, and the socket took its place.
        // SAFETY: as above.
        unsafe { libc::close(order.socket) };
    }
    // SAFETY: no memory is involved; nothing that runs in this process uses the descriptors.
    if unsafe { libc::syscall(libc::SYS_close_range, SOCKET_FD + 1, u32::MAX, 0) } < 0 {
        return "close_range";
    }
    // SAFETY: a string and two arrays of strings that end with null, alive in the suspended caller.
    unsafe {
        libc::execve(
            c"/proc/self/exe".as_ptr(),
            order.arguments,
            order.environment,
        )
    };
    "execve(/proc/self/exe)"
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The arguments this program was started with, byte by byte: `std` has none on musl before `main`.
fn own_arguments() -> io::Result<Vec<CString>> {
    let bytes = fs::read("/proc/self/cmdline")?;
    let mut arguments: Vec<CString> = bytes
        .split_inclusive(|&byte| byte == 0)
        .map(up_to_nul)
        .collect();
    if arguments.is_empty() {
        // The kernel itself puts an empty name here when a program is started without one.
        arguments.push(CString::default());
    }
    Ok(arguments)
}

/// The environment of this moment; a variable of the same name is replaced.
fn environment_with((name, value): (&str, &str)) -> Vec<CString> {
    let inherited = std::env::vars_os().filter(|(inherited, _)| inherited != OsStr::new(name));
    let mut environment: Vec<CString> = inherited
        .map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.as_bytes());
            up_to_nul(&entry)
        })
        .collect();
    environment.push(up_to_nul(format!("{name}={value}").as_bytes()));
    environment
}

/// What comes from the kernel or the C library has no zero in it but the last.
fn up_to_nul(bytes: &[u8]) -> CString {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

fn null_terminated(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_the_program() {
        let ours: Vec<Vec<u8>> = own_arguments()
            .unwrap()
            .into_iter()
            .map(CString::into_bytes)
            .collect();
        let of_std: Vec<Vec<u8>> = std::env::args_os().map(OsStringExt::into_vec).collect();
        assert_eq!(ours, of_std);
    }

    #[test]
    fn environment_has_the_variable_once() {
        let path = CString::new(format!("PATH={}", std::env::var("PATH").unwrap())).unwrap();
        let environment = environment_with(("PROCESSION_TEST_ONLY", "a=b"));
        assert!(environment.contains(&path));
        assert_eq!(
            environment
                .iter()
                .filter(|entry| entry.as_c_str() == c"PROCESSION_TEST_ONLY=a=b")
                .count(),
            1
        );
        let environment = environment_with(("PATH", "/"));
        assert!(environment.contains(&c"PATH=/".to_owned()));
        assert!(!environment.contains(&path));
    }
}
