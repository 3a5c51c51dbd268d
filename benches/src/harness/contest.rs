//! Contestants that take turns, round by round.
//!
//! Invariants: in each round that counts every contestant has measured once, so samples at one place are of one weather;
//! every second round goes backwards, so that nobody always comes after the same neighbour. A contestant that fails is out, and
//! the others go on.

use std::time::Duration;

use super::cores::{self, speed_up};
use super::{Problem, Result, Row, Settings, Summary};

/// A place in a contest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry(usize);

/// Those who are measured against each other.
#[derive(Default)]
pub(crate) struct Contest<'a> {
    contestants: Vec<Contestant<'a>>,
    needs_two_cores: bool,
}

struct Contestant<'a> {
    is_ours: bool,
    measure: Option<Box<dyn FnMut() -> Result<f64> + 'a>>,
    samples: Vec<f64>,
    problem: Option<Problem>,
}

/// What came out of a contest.
#[derive(Debug)]
pub(crate) struct Samples {
    outcomes: Vec<Result<Vec<f64>>>,
    speed_ups: Vec<f64>,
    one_core: bool,
}

impl<'a> Contest<'a> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// For work that keeps two cores busy: a pair of threads runs beside it, and a round counts only where the pair was
    /// quicker than one after the other.
    pub(crate) fn on_two_cores() -> Self {
        Self {
            needs_two_cores: true,
            ..Self::default()
        }
    }

    /// A contestant of `procession`. `measure` does the work once and gives nanoseconds.
    pub(crate) fn ours(&mut self, measure: impl FnMut() -> Result<f64> + 'a) -> Entry {
        self.enter(true, measure)
    }

    /// Somebody to compare with.
    pub(crate) fn peer(&mut self, measure: impl FnMut() -> Result<f64> + 'a) -> Entry {
        self.enter(false, measure)
    }

    /// A peer that may not be there.
    pub(crate) fn program<P>(
        &mut self,
        program: &'a Result<P>,
        mut measure: impl FnMut(&P) -> Result<f64> + 'a,
    ) -> Entry {
        match program {
            Ok(program) => self.peer(move || measure(program)),
            Err(problem) => self.peer(move || Err(problem.clone())),
        }
    }

    fn enter(&mut self, is_ours: bool, measure: impl FnMut() -> Result<f64> + 'a) -> Entry {
        self.contestants.push(Contestant {
            is_ours,
            measure: Some(Box::new(measure)),
            samples: Vec::new(),
            problem: None,
        });
        Entry(self.contestants.len() - 1)
    }

    /// One round that does not count, and then as many as the settings say.
    pub(crate) fn run(mut self, settings: &Settings) -> Samples {
        for peer in self.contestants.iter_mut().filter(|one| !one.is_ours) {
            if settings.only_ours {
                peer.leave(Problem::absent("not asked for (--only-ours)"));
            }
        }
        self.round(false);
        for contestant in &mut self.contestants {
            contestant.samples.clear();
        }
        let (mut speed_ups, mut one_core) = (Vec::new(), false);
        let mut n_retries_left = settings.pick(100, 10);
        let mut n_rounds = 0;
        while n_rounds < settings.rounds {
            if self.needs_two_cores {
                let speed_up = speed_up();
                let is_one_core = speed_up < cores::ENOUGH;
                if is_one_core && n_retries_left > 0 {
                    n_retries_left -= 1;
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
                speed_ups.push(speed_up);
                one_core |= is_one_core;
                if is_one_core && !settings.any_cores {
                    break;
                }
            }
            self.round(n_rounds % 2 == 1);
            n_rounds += 1;
        }
        let give_up = one_core && !settings.any_cores;
        let outcome = |contestant: Contestant<'_>| match contestant.problem {
            Some(problem) => Err(problem),
            None if give_up => Err(Problem::absent(
                "the two cores were one core all the while (see --any-cores)",
            )),
            None => Ok(contestant.samples),
        };
        Samples {
            outcomes: self.contestants.into_iter().map(outcome).collect(),
            speed_ups,
            one_core,
        }
    }

    fn round(&mut self, backwards: bool) {
        let n = self.contestants.len();
        for place in 0..n {
            let place = if backwards { n - 1 - place } else { place };
            let contestant = &mut self.contestants[place];
            let Some(measure) = &mut contestant.measure else {
                continue;
            };
            match measure() {
                Ok(sample) => contestant.samples.push(sample),
                Err(problem) => contestant.leave(problem),
            }
        }
    }
}

impl Contestant<'_> {
    fn leave(&mut self, problem: Problem) {
        self.problem = Some(problem);
        self.measure = None;
    }
}

impl Samples {
    pub(crate) fn of(&self, entry: Entry) -> Result<&[f64]> {
        match &self.outcomes[entry.0] {
            Ok(samples) => Ok(samples),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// Fills in the row with what these two took.
    pub(crate) fn compare(&self, row: Row, ours: Entry, peer: Entry) -> Row {
        // What we did is shown even where there is nobody to compare with.
        let row = match self.of(ours) {
            Ok(ours) => Row {
                ours: Summary::of(ours),
                ..row
            },
            Err(problem) => return row.without(problem),
        };
        let row = match (self.of(ours), self.of(peer)) {
            (Ok(ours), Ok(peer)) => row.with_times(ours, peer),
            (_, Err(problem)) | (Err(problem), _) => row.without(problem),
        };
        self.note_cores(row)
    }

    /// Says what the pair of threads had to say.
    pub(crate) fn note_cores(&self, row: Row) -> Row {
        let Some(speed_up) = Summary::of(&self.speed_ups) else {
            return row;
        };
        let doubt = if self.one_core {
            ": ONE CORE, do not believe this row"
        } else {
            ""
        };
        row.note(format!(
            "two std::threads {:.2}x ({:.2}..{:.2}) as fast as one{doubt}",
            speed_up.median, speed_up.min, speed_up.max
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::Bound;
    use super::*;

    const SETTINGS: Settings = Settings {
        rounds: 3,
        quick: true,
        any_cores: true,
        procspawn: false,
        only_ours: false,
    };

    #[test]
    fn contestants_take_turns_and_the_first_round_does_not_count() {
        let turns = RefCell::new(String::new());
        let mut contest = Contest::new();
        let mut n = 0.0;
        let a = contest.ours(|| {
            turns.borrow_mut().push('a');
            n += 1.0;
            Ok(n)
        });
        contest.peer(|| {
            turns.borrow_mut().push('b');
            Ok(0.0)
        });
        let samples = contest.run(&SETTINGS);
        assert_eq!(samples.of(a).unwrap(), [2.0, 3.0, 4.0]);
        drop(samples);
        assert_eq!(*turns.borrow(), "ababbaab");
    }

    #[test]
    fn who_fails_is_out_and_the_others_go_on() {
        let missing: Result<()> = Err(Problem::absent("no python3"));
        let mut contest = Contest::new();
        let ours = contest.ours(|| Ok(1.0));
        let peer = contest.program(&missing, |()| Ok(1.0));
        let samples = contest.run(&SETTINGS);
        assert_eq!(samples.of(ours).unwrap(), [1.0; 3]);
        let row = samples.compare(Row::new(2, "work", "peer", Bound::None), ours, peer);
        assert_eq!(
            row.verdict,
            super::super::Verdict::Skipped("no python3".to_owned())
        );
        assert!(row.ours.is_some());
    }
}
