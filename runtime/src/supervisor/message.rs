//! What program and supervisor say to each other over the control socket: fixed words, no text.
//!
//! One request, one reply (but for [`Request::Watch`] and [`Request::Rouse`]), in order. Descriptors travel beside a request by
//! SCM_RIGHTS, see `unix(7)`. Bulk lies on the board.

use crate::board::{Layout, Span, TaskId, WorkerIndex};

const N_WORDS: usize = 25;

/// Bytes of the longest message.
pub(crate) const MESSAGE_LEN: usize = N_WORDS * 8;

/// What the program asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Make a crew of so many workers; beside it: the board's descriptor, the working directory's.
    Make {
        crew: u64,
        layout: Layout,
        n_workers: u32,
        terms: Terms,
    },
    /// Before anything else, of the default start method: be one of the family; beside it the arena's descriptor, the
    /// door's, and in the root's supervisor the end that the registry serves.
    Join { root_pid: u32 },
    /// End a crew. Answered at once: by [`Reply::NOT_YET`] while a process of it is left, whose end wakes the board's
    /// callers, so that they ask again.
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
    /// Have so many workers in a crew from now on.
    Resize { crew: u64, n_workers: u32 },
    /// A task was published, and posts are dormant: have a worker come to one of them. No reply.
    Rouse { crew: u64 },
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
    /// Each worker keeps to one CPU.
    pub(crate) pinned: bool,
    /// 0: no limit.
    pub(crate) max_jobs: u64,
    /// How long a worker waits for a task before it retires. 0: no limit.
    pub(crate) idle_nanos: u64,
    pub(crate) limits: WorkerLimits,
    /// The shim as an offset, and the hash of its job.
    pub(crate) initializer: Option<[u64; 2]>,
    pub(crate) finalizer: Option<[u64; 2]>,
    /// The lengths of what stands in the setup, in the order of [`SetupPart`].
    pub(crate) setup: [u64; SetupPart::N],
    /// Sets the tags of this crew's results apart from all others.
    pub(crate) tags: u64,
}

/// What the program writes for supervisor and workers before there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetupPart {
    Context = 0,
    Name,
    Confinement,
    InitializerArgs,
    FinalizerArgs,
    /// The program's pid and name.
    Parent,
}

impl SetupPart {
    pub(crate) const N: usize = 6;
}

/// How long a worker may take to finish where the pool's grace is shorter.
const LEAST_TIME_TO_FINISH: u64 = 2_000_000_000;

/// What workers may use, as far as their supervisor or they themselves see to it. 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkerLimits {
    /// Private bytes while an item runs.
    pub(crate) memory: u64,
    /// Private bytes more than after the first task, between two tasks.
    pub(crate) memory_growth: u64,
    /// Processor time of one item.
    pub(crate) cpu_nanos: u64,
    /// Between SIGTERM and SIGKILL. 0: SIGKILL at once.
    pub(crate) grace_nanos: u64,
}

impl WorkerLimits {
    /// Whether the supervisor has to look at every item that runs.
    pub(crate) fn are_watched(self) -> bool {
        self.memory > 0 || self.cpu_nanos > 0
    }

    fn to_words(self) -> [u64; 4] {
        [
            self.memory,
            self.memory_growth,
            self.cpu_nanos,
            self.grace_nanos,
        ]
    }

    fn from_words([memory, memory_growth, cpu_nanos, grace_nanos]: [u64; 4]) -> Self {
        Self {
            memory,
            memory_growth,
            cpu_nanos,
            grace_nanos,
        }
    }
}

impl Terms {
    /// Where a part of the setup lies.
    pub(crate) fn setup_part(self, setup: Span, part: SetupPart) -> Span {
        let before = &self.setup[..part as usize];
        let offset = before
            .iter()
            .fold(setup.offset, |sum, len| sum.saturating_add(*len));
        Span::new(offset, self.setup[part as usize])
    }

    /// Nanoseconds that a worker has for its finalizer and for dropping its state.
    pub(crate) fn time_to_finish(self) -> u64 {
        self.limits.grace_nanos.max(LEAST_TIME_TO_FINISH)
    }

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
                n_workers,
                terms,
            } => {
                let flags = u64::from(terms.one_shot) | u64::from(terms.pinned) << 1;
                let parts: [&[u64]; 7] = [
                    &[1, crew, u64::from(n_workers)],
                    &layout.to_words(),
                    &[flags, terms.max_jobs, terms.idle_nanos, terms.tags],
                    &terms.limits.to_words(),
                    &terms.initializer.unwrap_or_default(),
                    &terms.finalizer.unwrap_or_default(),
                    &terms.setup,
                ];
                put(&parts.concat());
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
            Self::Resize { crew, n_workers } => put(&[8, crew, u64::from(n_workers)]),
            Self::Rouse { crew } => put(&[9, crew]),
        }
        words
    }

    /// `None` for words that are no request.
    pub(crate) fn from_words(words: [u64; N_WORDS]) -> Option<Self> {
        let [op, crew, rest @ ..] = words;
        let [a, b, ..] = rest;
        Some(match op {
            1 => {
                let [n_workers, a, b, c, d, rest @ ..] = rest;
                let [flags, max_jobs, idle_nanos, tags, rest @ ..] = rest;
                let [e, f, g, h, rest @ ..] = rest;
                let [shim, job, last_shim, last_job, setup @ ..] = rest;
                Self::Make {
                    crew,
                    layout: Layout::from_words([a, b, c, d]),
                    n_workers: n_workers as u32,
                    terms: Terms {
                        one_shot: flags & 1 != 0,
                        pinned: flags & 2 != 0,
                        max_jobs,
                        idle_nanos,
                        limits: WorkerLimits::from_words([e, f, g, h]),
                        // A shim is never where its anchor is.
                        initializer: (shim != 0).then_some([shim, job]),
                        finalizer: (last_shim != 0).then_some([last_shim, last_job]),
                        setup: *setup.first_chunk()?,
                        tags,
                    },
                }
            }
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
            8 => Self::Resize {
                crew,
                n_workers: a as u32,
            },
            9 => Self::Rouse { crew },
            _ => return None,
        })
    }
}

/// What the supervisor answers: the number of the error, 0 where all went well, and which step failed.
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
    Stop = 7,
}

impl Reply {
    pub(crate) const OK: Self = Self {
        errno: 0,
        step: Step::None,
    };

    /// Nothing has failed, but processes of the crew that was to end are left.
    pub(crate) const NOT_YET: Self = Self {
        errno: 0,
        step: Step::Stop,
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
            7 => Step::Stop,
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
            Self::Stop => "end the pool's processes",
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
            pinned: true,
            max_jobs: 1,
            idle_nanos: 16,
            limits: WorkerLimits {
                memory: 2,
                memory_growth: 9,
                cpu_nanos: 10,
                grace_nanos: 11,
            },
            initializer: Some([3, 4]),
            finalizer: Some([12, 13]),
            setup: [5, 6, 7, 8, 14, 15],
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
                n_workers: 2,
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
            Request::Resize {
                crew: 8,
                n_workers: 9,
            },
            Request::Rouse { crew: 10 },
        ] {
            assert_eq!(Request::from_words(request.to_words()), Some(request));
        }
        assert_eq!(Request::from_words([0; N_WORDS]), None);
    }
}
