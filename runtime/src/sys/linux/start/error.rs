//! Why no supervisor could be started.
//!
//! Every text says what went wrong and what to do instead; the tests below hold them word for word.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io;

use super::MAX_DEPTH;

/// Why no supervisor could be started.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum StartError {
    /// Nothing has looked yet whether this process is a copy.
    NotInitialised,
    /// This process is a copy that was to become a supervisor, and did not.
    CopyWentAstray,
    /// A pool in a job of a pool in a job …
    TooDeep,
    /// `/proc` cannot be read.
    NoProc { source: io::Error },
    /// `/proc/self/exe` is another image than the one this code lies in.
    ImageElsewhere { executable: OsString },
    /// The program has rights that whoever started it has not, or a copy would get some.
    Privileged,
    /// The program acts for another user or group than its own.
    ForeignIds,
    /// The copy has threads before its `main`.
    ConstructorThreads { n_threads: usize },
    /// `StartMethod::Fork` with threads.
    ForkWithThreads { n_threads: usize },
    /// The copy found that the process that started it is not its parent, or is gone.
    NotTheParent,
    /// The copy died. `how` says "exit status: 1" or "signal: 9 (SIGKILL)", if that could be learned.
    Died { how: Option<String> },
    /// The kernel refused.
    System {
        call: Cow<'static, str>,
        source: io::Error,
    },
}

impl StartError {
    /// For `map_err` on anything read under `/proc`: either it is not there, or the kernel refused for another reason.
    pub(super) fn proc(source: io::Error) -> StartError {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                StartError::NoProc { source }
            }
            _ => StartError::System {
                call: Cow::Borrowed("reading /proc/self"),
                source,
            },
        }
    }

    /// For `map_err`: the kernel refused `call`.
    pub(super) fn system(call: &'static str) -> impl Fn(io::Error) -> StartError {
        move |source| StartError::System {
            call: Cow::Borrowed(call),
            source,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to start the supervisor process: ")?;
        match self {
            Self::NotInitialised => f.write_str(
                "this program has no hook before `main`: call `procession::init()` first in `main`, \
                 or switch on the crate's feature `hook`",
            ),
            Self::CopyWentAstray => write!(
                f,
                "this process is itself such a copy of its parent, and did not become a supervisor: \
                 descriptor {} was closed or replaced before `main` (or, if you set it, unset {})",
                super::SOCKET_FD,
                super::marker::NAME
            ),
            Self::TooDeep => write!(
                f,
                "pools inside jobs may be nested {MAX_DEPTH} deep and this would be one more: \
                 make the pool in the program and give it all the work",
            ),
            Self::NoProc { source } => write!(
                f,
                "the program's own file is found through /proc/self/exe, which cannot be read ({source}): \
                 mount /proc, call `procession::start()` before a sandbox is entered, or use \
                 `StartMethod::Fork` while there is one thread",
            ),
            Self::ImageElsewhere { executable } => write!(
                f,
                "the running program {executable:?} is not the file that holds this code (it is a shared library, or \
                 was started through the dynamic loader), so a copy of it could not run jobs: \
                 build an executable of your own, or use `StartMethod::Fork` while there is one thread",
            ),
            Self::Privileged => f.write_str(
                "the program has rights by its file (set-user-ID, set-group-ID or file capabilities), \
                 and a copy must not be given orders: use `StartMethod::Fork` while there is one thread, \
                 or run the jobs from a program without such rights",
            ),
            Self::ForeignIds => f.write_str(
                "the real and the effective user or group differ: call `procession::start()` before changing them, \
                 or change all of them (setresuid, setresgid)",
            ),
            Self::ConstructorThreads { n_threads } => write!(
                f,
                "something that runs before `main` (a constructor of a library) or before `procession::init()` has \
                 started threads, {n_threads} in all, and workers can be forked from one thread only: \
                 start them later, or leave that library out",
            ),
            Self::ForkWithThreads { n_threads } => write!(
                f,
                "a fork (`StartMethod::Fork`, `fork_map`) needs a program with one thread, and this one has {n_threads} \
                 (each `#[test]` is one, and so is the one that wakes awaited handles and calls `on_done`): fork before they \
                 are started, or run jobs on a pool of `StartMethod::ForkServer`",
            ),
            Self::NotTheParent => f.write_str(
                "the copy of the program is not its child: after `unshare(CLONE_NEWPID)` call \
                 `procession::start()` in a child process, or call it before",
            ),
            Self::Died { how: Some(how) } => write!(
                f,
                "the copy of the program ended before its `main` ({how}): something that runs before \
                 `main` may have failed, or the copy was killed",
            ),
            Self::Died { how: None } => f.write_str(
                "the copy of the program ended before its `main`: something that runs before `main` may have \
                 failed, or the copy was killed",
            ),
            Self::System { call, source } => write!(f, "{call}: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoProc { source } | Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: &StartError) -> String {
        let text = error.to_string();
        text.strip_prefix("failed to start the supervisor process: ")
            .expect("one beginning for all")
            .to_owned()
    }

    #[test]
    fn texts_say_what_went_wrong_and_what_to_do() {
        assert_eq!(
            text(&StartError::NotInitialised),
            "this program has no hook before `main`: call `procession::init()` first in `main`, or switch on \
             the crate's feature `hook`"
        );
        assert_eq!(
            text(&StartError::CopyWentAstray),
            format!(
                "this process is itself such a copy of its parent, and did not become a supervisor: descriptor 3 was \
                 closed or replaced before `main` (or, if you set it, unset PROCESSION_SUPERVISOR_{})",
                env!("CARGO_PKG_VERSION")
            )
        );
        assert_eq!(
            text(&StartError::TooDeep),
            "pools inside jobs may be nested 4 deep and this would be one more: make the pool in the program \
             and give it all the work"
        );
        assert_eq!(
            text(&StartError::proc(io::Error::from_raw_os_error(
                libc::ENOENT
            ))),
            "the program's own file is found through /proc/self/exe, which cannot be read (No such file or directory \
             (os error 2)): mount /proc, call `procession::start()` before a sandbox is entered, or use \
             `StartMethod::Fork` while there is one thread"
        );
        assert_eq!(
            text(&StartError::ImageElsewhere {
                executable: "/usr/bin/python3".into()
            }),
            "the running program \"/usr/bin/python3\" is not the file that holds this code (it is a shared \
             library, or was started through the dynamic loader), so a copy of it could not run jobs: build an \
             executable of your own, or use `StartMethod::Fork` while there is one thread"
        );
        assert_eq!(
            text(&StartError::Privileged),
            "the program has rights by its file (set-user-ID, set-group-ID or file capabilities), and a copy must \
             not be given orders: use `StartMethod::Fork` while there is one thread, or run the jobs from a program \
             without such rights"
        );
        assert_eq!(
            text(&StartError::ForeignIds),
            "the real and the effective user or group differ: call `procession::start()` before changing them, or \
             change all of them (setresuid, setresgid)"
        );
        assert_eq!(
            text(&StartError::ConstructorThreads { n_threads: 3 }),
            "something that runs before `main` (a constructor of a library) or before `procession::init()` has \
             started threads, 3 in all, and workers can be forked from one thread only: start them later, or leave \
             that library out"
        );
        assert_eq!(
            text(&StartError::ForkWithThreads { n_threads: 2 }),
            "a fork (`StartMethod::Fork`, `fork_map`) needs a program with one thread, and this one has 2 (each `#[test]` is \
             one, and so is the one that wakes awaited handles and calls `on_done`): fork before they are started, or run \
             jobs on a pool of `StartMethod::ForkServer`"
        );
        assert_eq!(
            text(&StartError::NotTheParent),
            "the copy of the program is not its child: after `unshare(CLONE_NEWPID)` call `procession::start()` in a \
             child process, or call it before"
        );
        assert_eq!(
            text(&StartError::Died {
                how: Some("signal: 9 (SIGKILL)".to_owned())
            }),
            "the copy of the program ended before its `main` (signal: 9 (SIGKILL)): something that runs before `main` \
             may have failed, or the copy was killed"
        );
        assert_eq!(
            text(&StartError::Died { how: None }),
            "the copy of the program ended before its `main`: something that runs before `main` may have failed, or \
             the copy was killed"
        );
    }

    #[test]
    fn a_refused_call_is_named_with_its_errno() {
        let error = StartError::system("clone")(io::Error::from_raw_os_error(libc::EAGAIN));
        assert_eq!(
            text(&error),
            "clone: Resource temporarily unavailable (os error 11)"
        );
        assert!(std::error::Error::source(&error).is_some());
        let error = StartError::proc(io::Error::from_raw_os_error(libc::EMFILE));
        assert_eq!(
            text(&error),
            "reading /proc/self: Too many open files (os error 24)"
        );
    }
}
