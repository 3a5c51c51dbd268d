//! What program and supervisor say to each other over the control socket: fixed words, no text.
//!
//! One request, one reply (but for [`Request::Watch`]), in order. Descriptors travel beside a request by
//! SCM_RIGHTS, see `unix(7)`. Bulk lies on the board.

use crate::board::{Layout, TaskId, WorkerIndex};

const N_WORDS: usize = 16;

/// Bytes of the longest message.
pub(crate) const MESSAGE_LEN: usize = N_WORDS * 8;

/// What the program asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Make a crew of workers; beside it: the board's descriptor, the working directory's.
    Make {
        crew: u64,
        layout: Layout,
        terms: Terms,
    },
    /// Before anything else, of the default start method: be one of the family; beside it the arena's descriptor, the
    /// door's, and in the root's supervisor the end that the registry serves.
    Join { root_pid: u32 },
    /// End a crew. Answered when its last process is gone.
    Stop { crew: u64, kill: bool },
    /// End the worker that runs an item of this task, if one still does.
    End {
        crew: u64,
        task: TaskId,
        ending: Ending,
    },
    /// Send a signal to a worker.
    Signal {
        crew: u64,
        worker: WorkerIndex,
        signal: i32,
    },
    /// Bring the figures in the workers' records up to date.
    Measure { crew: u64 },
    /// A task with a limit was published while nobody looked at the clock. No reply.
    Watch { crew: u64 },
}

/// Why the program wants a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Ending {
    Cancelled = 0,
    DeadlinePassed = 1,
}

/// On what terms the workers of a crew work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// One task, then the end; nobody is replaced. A `Process`.
    pub(crate) one_shot: bool,
    /// 0: no limit.
    pub(crate) max_jobs: u64,
    /// 0: no limit.
    pub(crate) memory_limit: u64,
    /// The shim as an offset, and the hash of its job.
    pub(crate) initializer: Option<[u64; 2]>,
    /// The lengths of what stands in the setup, in this order: context, name, initializer's arguments.
    pub(crate) setup: [u64; 3],
    /// Sets the tags of this crew's results apart from all others.
    pub(crate) tags: u64,
}

impl Terms {
    /// The tag under which shared memory that a task's results name is kept until the program has read them.
    pub(crate) fn tag_of(self, task: TaskId) -> u64 {
        tag_of(self.tags, task)
    }
}

/// See [`Terms::tag_of`].
pub(crate) fn tag_of(tags: u64, task: TaskId) -> u64 {
    // Odd factor and shifts: tasks of a crew differ in all but chance. Odd tags stand for no process.
    let mixed = (tags ^ task.to_word()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32) | 1
}

impl Request {
    pub(crate) fn to_words(self) -> [u64; N_WORDS] {
        let mut words = [0; N_WORDS];
        let mut put = |parts: &[u64]| words[..parts.len()].copy_from_slice(parts);
        match self {
            Self::Make {
                crew,
                layout,
                terms,
            } => {
                let [a, b, c, d] = layout.to_words();
                let ([e, f], [g, h, i]) = (terms.initializer.unwrap_or_default(), terms.setup);
                let one_shot = u64::from(terms.one_shot);
                put(&[
                    1,
                    crew,
                    a,
                    b,
                    c,
                    d,
                    one_shot,
                    terms.max_jobs,
                    terms.memory_limit,
                    e,
                    f,
                    g,
                    h,
                    i,
                    terms.tags,
                ]);
            }
            Self::Stop { crew, kill } => put(&[2, crew, u64::from(kill)]),
            Self::End { crew, task, ending } => {
                put(&[3, crew, task.to_word(), u64::from(ending as u32)]);
            }
            Self::Signal {
                crew,
                worker,
                signal,
            } => put(&[4, crew, u64::from(worker.0), signal as u64]),
            Self::Measure { crew } => put(&[5, crew]),
            Self::Watch { crew } => put(&[6, crew]),
            Self::Join { root_pid } => put(&[7, u64::from(root_pid)]),
        }
        words
    }

    /// `None` for words that are no request.
    pub(crate) fn from_words(words: [u64; N_WORDS]) -> Option<Self> {
        let [op, crew, a, b, c, d, e, f, g, h, i, j, k, l, m, ..] = words;
        Some(match op {
            1 => Self::Make {
                crew,
                layout: Layout::from_words([a, b, c, d]),
                terms: Terms {
                    one_shot: e != 0,
                    max_jobs: f,
                    memory_limit: g,
                    // A shim is never where its anchor is.
                    initializer: (h != 0).then_some([h, i]),
                    setup: [j, k, l],
                    tags: m,
                },
            },
            2 => Self::Stop { crew, kill: a != 0 },
            3 => Self::End {
                crew,
                task: TaskId::from_word(a),
                ending: match b {
                    0 => Ending::Cancelled,
                    1 => Ending::DeadlinePassed,
                    _ => return None,
                },
            },
            4 => Self::Signal {
                crew,
                worker: WorkerIndex(a as u16),
                signal: b as i32,
            },
            5 => Self::Measure { crew },
            6 => Self::Watch { crew },
            7 => Self::Join {
                root_pid: crew as u32,
            },
            _ => return None,
        })
    }
}

/// What the supervisor answers: the number of the error, nought where all went well, and which step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) errno: i32,
    pub(crate) step: Step,
}

/// What a supervisor does in the program's name and may fail at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Step {
    None = 0,
    MapBoard = 1,
    TakeContext = 2,
    Fork = 3,
    Signal = 4,
    Receive = 5,
    Join = 6,
}

impl Reply {
    pub(crate) const OK: Self = Self {
        errno: 0,
        step: Step::None,
    };

    pub(crate) fn failed(step: Step, error: &std::io::Error) -> Self {
        Self {
            errno: error.raw_os_error().unwrap_or(crate::sys::EIO),
            step,
        }
    }

    pub(crate) fn to_words(self) -> [u64; 2] {
        [self.errno as u64, self.step as u64]
    }

    pub(crate) fn from_words([errno, step]: [u64; 2]) -> Self {
        let step = match step {
            1 => Step::MapBoard,
            2 => Step::TakeContext,
            3 => Step::Fork,
            4 => Step::Signal,
            5 => Step::Receive,
            6 => Step::Join,
            _ => Step::None,
        };
        Self {
            errno: errno as i32,
            step,
        }
    }
}

impl Step {
    /// To follow "failed to".
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::None => "do what was asked",
            Self::MapBoard => "map the pool's shared memory in the supervisor",
            Self::TakeContext => "enter the program's working directory in the supervisor",
            Self::Fork => "fork a worker process",
            Self::Signal => "send the signal",
            Self::Receive => "receive the request in the supervisor",
            Self::Join => "map the memory for small shared values in the supervisor",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::TaskIndex;

    #[test]
    fn requests_survive_the_socket() {
        let layout = Layout {
            n_workers: 3,
            n_tasks: 9,
            setup_len: 5,
            arena_len: 6,
            region_len: 7,
        };
        let terms = Terms {
            one_shot: true,
            max_jobs: 1,
            memory_limit: 2,
            initializer: Some([3, 4]),
            setup: [5, 6, 7],
            tags: 8,
        };
        let task = TaskId {
            index: TaskIndex(4),
            generation: 8,
        };
        for request in [
            Request::Make {
                crew: 1,
                layout,
                terms,
            },
            Request::Stop {
                crew: 2,
                kill: true,
            },
            Request::End {
                crew: 3,
                task,
                ending: Ending::DeadlinePassed,
            },
            Request::Signal {
                crew: 4,
                worker: WorkerIndex(2),
                signal: 15,
            },
            Request::Measure { crew: 5 },
            Request::Watch { crew: 6 },
            Request::Join { root_pid: 7 },
        ] {
            assert_eq!(Request::from_words(request.to_words()), Some(request));
        }
        assert_eq!(Request::from_words([0; N_WORDS]), None);
    }
}
