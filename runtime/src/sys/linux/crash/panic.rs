//! What a panic said, where, and how it came there.
//!
//! Responsible for keeping the last panic of each thread until somebody asks, and for writing it to the last words
//! before the process can abort. Does not catch anything, and does not replace what the program's own hook, or
//! Rust's, prints.
//!
//! The backtrace is taken even where `RUST_BACKTRACE` is not set, since the one who reads it did not start the
//! worker; `RUST_BACKTRACE=0` or `RUST_LIB_BACKTRACE=0` switches it off. It begins where the panic did and ends where
//! the job was called: what lies above and below is the same for every job and means nothing to its author.
//!
//! See `std::panic::set_hook`, `std::backtrace`.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};

use super::words;

/// One panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PanicReport {
    /// What was said; of a payload that is no text, that it is none.
    pub(crate) message: String,
    /// `src/lib.rs:10:5`
    pub(crate) location: String,
    /// One frame or more a line; empty if switched off.
    pub(crate) backtrace: String,
}

thread_local! {
    static SINCE_ASKED: RefCell<SinceAsked> =
        const { RefCell::new(SinceAsked { last: None, before: String::new() }) };
}

/// The panics of one thread that nobody has asked for yet.
struct SinceAsked {
    last: Option<PanicReport>,
    /// Place and message of those before the last: when a destructor panics during a panic, the last
    /// says no more than that.
    before: String,
}

/// How much is kept of the panics before the last: a job may catch any number of its own.
const MAX_BYTES_BEFORE: usize = 1024;

/// The last panic of this thread since this was asked last. Ask before a job, too, to forget those it did not cause.
pub(crate) fn take_panic() -> Option<PanicReport> {
    let take = |since: &RefCell<SinceAsked>| {
        let mut since = since.try_borrow_mut().ok()?;
        since.before.clear();
        since.last.take()
    };
    SINCE_ASKED.try_with(take).ok()?
}

/// From now on every panic of this process is kept, written to the last words that [`super::install`] was given, and
/// goes on to the hook before.
pub(crate) fn install_panic_hook() {
    // A worker forked from a job of another worker has inherited the hook.
    static IS_INSTALLED: AtomicBool = AtomicBool::new(false);
    // Relaxed: a worker calls this while it has one thread.
    if IS_INSTALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = take_hook();
    set_hook(Box::new(move |info| {
        let mut report = PanicReport {
            message: message(info),
            location: info.location().map(ToString::to_string).unwrap_or_default(),
            backtrace: String::new(),
        };
        // At once, since the hook before may abort; again when there is more to say.
        let earlier = earlier_panics();
        say(&earlier, &report);
        before(info);
        if is_backtrace_wanted() {
            report.backtrace = of_the_job(&Backtrace::force_capture().to_string());
            say(&earlier, &report);
        }
        keep(earlier, report);
    }));
}

fn say(
    earlier: &str,
    PanicReport {
        message,
        location,
        backtrace,
    }: &PanicReport,
) {
    let Some(words) = words::of_this_process() else {
        return;
    };
    let line_end = if backtrace.is_empty() { "" } else { "\n" };
    words.say(format_args!(
        "{earlier}panicked at {location}:\n{message}{line_end}{backtrace}"
    ));
}

/// What the last words begin with, if this is not the first panic.
fn earlier_panics() -> String {
    let text = |since: &RefCell<SinceAsked>| {
        let since = since.try_borrow().ok()?;
        let PanicReport {
            message, location, ..
        } = since.last.as_ref()?;
        Some(format!(
            "{}panicked at {location}:\n{message}\nthen ",
            since.before
        ))
    };
    SINCE_ASKED
        .try_with(text)
        .ok()
        .flatten()
        .unwrap_or_default()
}

fn keep(earlier: String, report: PanicReport) {
    // Not there in a thread that is being torn down: then nobody will ask, either.
    let _ = SINCE_ASKED.try_with(|since| {
        let Ok(mut since) = since.try_borrow_mut() else {
            return;
        };
        if earlier.len() <= MAX_BYTES_BEFORE {
            since.before = earlier;
        }
        since.last = Some(report);
    });
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not a text (panic_any)")
        .to_owned()
}

fn is_backtrace_wanted() -> bool {
    let is_off = |name| std::env::var_os(name).is_some_and(|value| value == "0");
    !is_off("RUST_BACKTRACE") && !is_off("RUST_LIB_BACKTRACE")
}

/// Functions of this crate that are on the stack below a job, and nowhere else.
const BELOW_A_JOB: [&str; 3] = [
    "procession::job::shim::",
    "procession::worker::",
    "procession::executor::local::",
];

/// The standard library's own backtraces begin below it: above are its hook and ours.
const ABOVE_A_PANIC: &str = "__rust_end_short_backtrace";

/// The part of a backtrace that is the job's. Where names are missing it is more.
fn of_the_job(backtrace: &str) -> String {
    let mut lines: Vec<&str> = backtrace.split_inclusive('\n').collect();
    if let Some(last) = lines.iter().position(|line| line.contains(ABOVE_A_PANIC)) {
        let n_of_it = lines[last + 1..]
            .iter()
            .take_while(|line| numbered(line).is_none());
        lines.drain(..last + 1 + n_of_it.count());
    }
    let is_the_jobs = |line: &&&str| {
        !BELOW_A_JOB
            .iter()
            .any(|ours| symbol(line).starts_with(ours))
    };
    lines.iter().take_while(is_the_jobs).copied().collect()
}

/// The function that a line of a backtrace names: "  12: name", or without a number where it was inlined.
fn symbol(line: &str) -> &str {
    let name = numbered(line).unwrap_or(line.trim_start());
    // Of a method the newer names say "<procession::worker::Chunk>::next_item".
    name.trim_start_matches('<')
}

/// What stands behind the number of a frame.
fn numbered(line: &str) -> Option<&str> {
    let (number, name) = line.trim_start().split_once(": ")?;
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(name)
}

#[cfg(test)]
#[expect(
    unsafe_code,
    reason = "the environment is changed, in a process of its own"
)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::atomic::AtomicU32;

    use super::super::words::set_for_this_process;
    use super::super::words::tests::{leaked_buffer, read};
    use super::*;
    use crate::sys::testing::alone;

    #[test]
    fn a_caught_panic_is_kept_with_its_place() {
        alone(|| {
            // SAFETY: one thread.
            unsafe { std::env::remove_var("RUST_BACKTRACE") };
            let words = leaked_buffer(1 << 16);
            set_for_this_process(words);
            install_panic_hook();
            let line = line!() + 1;
            assert!(catch_unwind(|| panic!("number {}", 7)).is_err());
            let report = take_panic().unwrap();
            assert_eq!(report.message, "number 7");
            assert!(
                report.location.starts_with(&format!("{}:{line}:", file!())),
                "{report:?}"
            );
            assert!(report.backtrace.contains("panic"), "{report:?}");
            let words = read(words);
            assert!(
                words.starts_with(&format!("panicked at {}:\nnumber 7\n", report.location)),
                "{words}"
            );
            assert_eq!(take_panic(), None);
        });
    }

    #[test]
    fn last_words_begin_with_the_first_panic() {
        alone(|| {
            // SAFETY: one thread.
            unsafe { std::env::set_var("RUST_BACKTRACE", "0") };
            let words = leaked_buffer(1 << 16);
            set_for_this_process(words);
            install_panic_hook();
            for message in ["first", "second", "third"] {
                assert!(catch_unwind(|| panic!("{message}")).is_err());
            }
            let text = read(words);
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| !line.contains("panicked at"))
                .collect();
            assert_eq!(lines, ["first", "second", "third"]);
            // Not without end.
            for _ in 0..1000 {
                assert!(catch_unwind(|| panic!("again")).is_err());
            }
            assert!(earlier_panics().len() < 2 * MAX_BYTES_BEFORE);
            assert_eq!(take_panic().unwrap().message, "again");
            assert_eq!(earlier_panics(), "");
        });
    }

    #[test]
    fn no_backtrace_where_the_user_wants_none() {
        for variable in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"] {
            alone(|| {
                // SAFETY: one thread.
                unsafe { std::env::set_var(variable, "0") };
                install_panic_hook();
                assert!(catch_unwind(|| std::panic::panic_any(7)).is_err());
                let report = take_panic().unwrap();
                assert_eq!(report.backtrace, "");
                assert_eq!(report.message, "a value that is not a text (panic_any)");
            });
        }
    }

    #[test]
    fn a_backtrace_ends_where_the_job_was_called() {
        let kept = "   0: std::backtrace::Backtrace::force_capture\n   \
                    1: procession::sys::linux::crash::panic::install_panic_hook::{{closure}}\n             \
                    at /procession::worker::/panic.rs:71:34\n   \
                    2: user::my_procession::worker::job\n";
        for first_of_ours in [
            "   3: procession::job::shim::run_chunk\n",
            "      procession::job::shim::run_chunk::<user::job, u64>\n",
            "  12: <procession::worker::chunk::Chunk>::next_item::<u64>\n",
            "   3: procession::executor::local::run\n",
        ] {
            let backtrace =
                format!("{kept}{first_of_ours}             at ./shim.rs:1:1\n   4: main\n");
            assert_eq!(of_the_job(&backtrace), kept, "{first_of_ours}");
        }
        assert_eq!(of_the_job(kept), kept);
        assert_eq!(of_the_job(""), "");
    }

    #[test]
    fn a_backtrace_begins_where_the_panic_did() {
        let kept = "   2: rust_begin_unwind\n             at ./panicking.rs:1:1\n   3: user::job\n";
        let hook = "   0: procession::sys::linux::crash::panic::install_panic_hook::{{closure}}\n";
        for last in [
            "   1: std::sys::backtrace::__rust_end_short_backtrace::<F, !>\n",
            "   1: std::sys::backtrace::__rust_end_short_backtrace\n             at ./backtrace.rs:1:1\n",
            "      std::sys::backtrace::__rust_end_short_backtrace\n             at ./a.rs:1:1\n      inlined\n",
        ] {
            assert_eq!(of_the_job(&format!("{hook}{last}{kept}")), kept, "{last}");
            assert_eq!(of_the_job(&format!("{hook}{last}")), "");
        }
        let nothing_named = "   0: <unknown>\n   1: <unknown>\n";
        assert_eq!(of_the_job(nothing_named), nothing_named);
    }

    #[test]
    fn the_hook_before_is_called_once_for_each_panic() {
        static N_CALLS: AtomicU32 = AtomicU32::new(0);
        alone(|| {
            set_hook(Box::new(|_| {
                N_CALLS.fetch_add(1, Ordering::Relaxed);
            }));
            install_panic_hook();
            install_panic_hook();
            assert!(catch_unwind(|| panic!("x")).is_err());
            assert_eq!(N_CALLS.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn a_panic_of_another_thread_is_not_this_ones() {
        alone(|| {
            install_panic_hook();
            assert!(std::thread::spawn(|| panic!("elsewhere")).join().is_err());
            assert_eq!(take_panic(), None);
        });
    }
}
