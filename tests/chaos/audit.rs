//! Compares what came back with the truth, and the number of runs with what was promised.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use procession::{Error, ErrorKind, JobError};
use procession_tests::Scratch;

use crate::faults::Faults;
use crate::report::Report;
use crate::work::{End, Errand, Ledger};

/// On what terms an errand was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) retries: u32,
    pub(crate) has_time_limit: bool,
    pub(crate) may_be_cancelled: bool,
}

/// What an errand's verdict says of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    HasRun,
    MayHaveRun,
    NeverRan,
}

#[derive(Debug)]
struct Entry {
    number: u32,
    terms: Terms,
    says: Says,
}

/// The books of one round.
#[derive(Debug)]
pub(crate) struct Audit {
    scratch: Scratch,
    next_number: AtomicU32,
    n_squares: AtomicU64,
    entries: Mutex<Vec<Entry>>,
    lost: Mutex<BTreeMap<&'static str, u64>>,
}

const TO_SIGNALS: &str = "to signals";
const TO_STOPS: &str = "to stops";

impl Audit {
    pub(crate) fn new() -> Self {
        let audit = Self {
            scratch: Scratch::new("chaos"),
            next_number: AtomicU32::new(0),
            n_squares: AtomicU64::new(0),
            entries: Mutex::default(),
            lost: Mutex::default(),
        };
        Ledger::begin(&audit.ledger());
        audit
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.scratch.path().join("ledger")
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.next_number.fetch_add(1, SeqCst)
    }

    fn lose(&self, to: &'static str) {
        *self.lost.lock().expect("no panic").entry(to).or_default() += 1;
    }

    /// A verdict on an errand whose result is `truth`, where it has one.
    pub(crate) fn judge<R: PartialEq + Debug>(
        &self,
        errand: &Errand,
        terms: Terms,
        verdict: &Result<R, JobError>,
        truth: impl FnOnce() -> R,
        faults: &Faults,
    ) {
        let name = format!(
            "errand {}, {:?}, {} µs, {} bytes, {terms:?}",
            errand.number,
            errand.end,
            errand.micros,
            errand.input.len()
        );
        match verdict {
            Ok(result) => {
                assert_eq!(errand.end, End::Result, "{name} has a result");
                assert!(*result == truth(), "{name}: a wrong result");
            }
            Err(error) => {
                let to = self.explain(errand.end, terms, error, faults);
                let to = to.unwrap_or_else(|| panic!("{name}: nothing explains {error:?}"));
                self.lose(to);
            }
        }
        let says = match verdict {
            Ok(_) => Says::HasRun,
            Err(error) if error.may_have_run() => Says::MayHaveRun,
            Err(_) => Says::NeverRan,
        };
        self.enter(errand, terms, says);
    }

    /// An errand of which nothing was heard: its map failed, or its handle was dropped.
    pub(crate) fn unheard(&self, errand: &Errand, terms: Terms) {
        self.enter(errand, terms, Says::MayHaveRun);
    }

    fn enter(&self, errand: &Errand, terms: Terms, says: Says) {
        self.entries.lock().expect("no panic").push(Entry {
            number: errand.number,
            terms,
            says,
        });
    }

    /// A verdict on a number that was to be squared.
    pub(crate) fn judge_square(&self, x: u64, verdict: &Result<u64, JobError>, faults: &Faults) {
        self.n_squares.fetch_add(1, SeqCst);
        match verdict {
            Ok(result) => assert_eq!(*result, x.wrapping_mul(x), "the square of {x}"),
            Err(error) => {
                let terms = Terms {
                    retries: 0,
                    has_time_limit: true,
                    may_be_cancelled: false,
                };
                let to = self.explain(End::Result, terms, error, faults);
                self.lose(to.unwrap_or_else(|| panic!("{x}: nothing explains {error:?}")));
            }
        }
    }

    /// What a verdict without a result is owed to, if it is true.
    fn explain(
        &self,
        end: End,
        terms: Terms,
        error: &JobError,
        faults: &Faults,
    ) -> Option<&'static str> {
        let (to, is_true) = match *error {
            JobError::Panicked { .. } => ("to themselves", end == End::Panic),
            JobError::Exited { code } => ("to themselves", end == End::Exit(code)),
            JobError::Killed { signal, .. } => {
                let by_itself = matches!((end, signal), (End::Abort, 6) | (End::Segfault, 11));
                if by_itself {
                    ("to themselves", true)
                } else {
                    (TO_SIGNALS, faults.has_sent(signal))
                }
            }
            JobError::TimedOut { .. } => {
                let by_itself = matches!(end, End::Stop | End::Hang);
                let to = if by_itself { "to themselves" } else { TO_STOPS };
                (
                    to,
                    terms.has_time_limit && (by_itself || faults.n_stops() > 0),
                )
            }
            JobError::Cancelled => ("to cancelling", terms.may_be_cancelled),
            JobError::Lost { ref reason, .. } => (
                "to the supervisor's death",
                faults.is_supervisor_killed() || is_given_up(reason, faults),
            ),
            _ => ("", false),
        };
        is_true.then_some(to)
    }

    /// An operation that failed as a whole.
    pub(crate) fn judge_failure(&self, error: &Error, faults: &Faults) {
        let is_explained = match error.kind() {
            ErrorKind::PoolGone => {
                faults.is_supervisor_killed() || is_given_up(&error.to_string(), faults)
            }
            _ => false,
        };
        assert!(is_explained, "nothing explains {error}: {error:?}");
    }

    /// When all processes of the round are gone: the ledger, and the sums.
    pub(crate) fn finish(self, faults: Faults) -> Report {
        let mut runs = Ledger::read(&self.ledger());
        for entry in self.entries.into_inner().expect("no panic") {
            let n_runs = runs.remove(&entry.number).unwrap_or(0);
            let is_true = n_runs <= 1 + entry.terms.retries
                && match entry.says {
                    Says::HasRun => n_runs > 0,
                    Says::MayHaveRun => true,
                    Says::NeverRan => n_runs == 0,
                };
            assert!(is_true, "{entry:?} has run {n_runs} times");
        }
        assert!(runs.is_empty(), "nobody sent these: {runs:?}");
        let lost = self.lost.into_inner().expect("no panic");
        let lost_to = |what| lost.get(what).copied().unwrap_or(0);
        for (what, n_faults) in [(TO_SIGNALS, faults.n_fatal()), (TO_STOPS, faults.n_stops())] {
            let n_lost = lost_to(what);
            assert!(
                n_lost <= n_faults,
                "{n_lost} items were lost {what}, of which there were {n_faults}"
            );
        }
        Report {
            n_items: u64::from(self.next_number.into_inner()) + self.n_squares.into_inner(),
            faults: faults.into_counts(),
            lost: lost.into_iter().map(|(to, n)| (to.to_owned(), n)).collect(),
        }
    }
}

/// A pool whose workers die again and again before they are ready says so: so many strikes may happen.
fn is_given_up(reason: &str, faults: &Faults) -> bool {
    reason.contains("cannot start") && faults.n_fatal() >= 5
}
