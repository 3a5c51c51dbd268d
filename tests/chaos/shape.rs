//! What a round of the storm is like: drawn from its seed, and printed where it fails.

use std::time::Duration;

use procession::StartMethod;

use crate::audit::Terms;
use crate::faults::Weather;
use crate::random::Random;

/// So many tries that no storm uses them up.
pub(crate) const FOR_EVER: u32 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) start_method: StartMethod,
    pub(crate) n_workers: usize,
    pub(crate) n_threads: u64,
    pub(crate) has_time_limit: bool,
    pub(crate) retries: u32,
    pub(crate) max_jobs: Option<u64>,
    /// The pool grows and shrinks meanwhile.
    pub(crate) is_resized: bool,
    /// Workers that wait so long retire.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) ending: Ending,
    /// The strikes are over before the pool is ended.
    pub(crate) ends_calmly: bool,
    pub(crate) weather: Weather,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Close,
    Terminate,
    Drop,
    /// In another thread, while handles are being joined.
    DropBusy,
}

impl Shape {
    pub(crate) fn draw(random: &mut Random, start_method: StartMethod) -> Self {
        let has_time_limit = random.percent(30);
        let mean_pause = Duration::from_micros(random.pick(&[300, 1000, 3000, 6000]));
        Self {
            start_method,
            n_workers: random.pick(&[1, 2, 2, 3, 4, 8]),
            n_threads: 1 + random.below(3),
            has_time_limit,
            retries: random.pick(&[0, 0, 0, 1, 2, FOR_EVER]),
            max_jobs: random.percent(20).then(|| 1 + random.below(60)),
            is_resized: random.percent(30),
            idle_timeout: random
                .percent(20)
                .then(|| Duration::from_micros(random.pick(&[100, 1000, 10_000]))),
            ending: random.pick(&[
                Ending::Close,
                Ending::Terminate,
                Ending::Drop,
                Ending::DropBusy,
            ]),
            ends_calmly: random.percent(50),
            weather: Weather {
                mean_pause,
                n_strikes: 5 + random.below(70),
                kills_supervisor: random.percent(15),
                stops_supervisor: random.percent(30),
                has_time_limit,
            },
        }
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            retries: self.retries,
            has_time_limit: self.has_time_limit,
            may_be_cancelled: false,
        }
    }
}
