//! One round of the storm: a pool of random shape, a few threads that use it in every way there is, one that strikes,
//! and an end of some kind. What came back is audited, and nothing may be left.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::sleep;

use procession::{ErrorKind, JobError, JobHandle, Pool, StartMethod, job, pool_map, spawn};
use procession_tests::processes::{self, Signal};
use procession_tests::{begin_as, begin_unwatched, wait_for};

use crate::audit::{Audit, Terms};
use crate::faults::{Faults, TIME_LIMIT, strike};
use crate::random::Random;
use crate::report::Report;
use crate::shape::{Ending, FOR_EVER, Shape};
use crate::work::{End, Errand, digest, square, stretch};

/// Runs a round; what was injected, and what it has come to. With [`StartMethod::Fork`] it needs a program of one thread.
///
/// # Panics
///
/// When a promise is broken.
pub(crate) fn run(seed: u64, name: &str, start_method: StartMethod) -> Report {
    let random = &mut Random::new(seed);
    let shape = Shape::draw(random, start_method);
    let name = format!("{name}, {shape:?}");
    let test = match start_method {
        // Whoever has started this program watches it.
        StartMethod::Fork => begin_unwatched(),
        _ => begin_as(&name),
    };
    let faults = Faults::default();
    let round = Round {
        shape,
        audit: Audit::new(),
        faults: &faults,
    };
    round.play(random);
    // Before the ledger is read: whoever could write it is gone.
    drop(test);
    let audit = round.audit;
    audit.finish(faults)
}

struct Round<'a> {
    shape: Shape,
    audit: Audit,
    faults: &'a Faults,
}

impl Round<'_> {
    fn play(&self, random: &mut Random) {
        let mut builder = Pool::builder()
            .workers(self.shape.n_workers)
            .start_method(self.shape.start_method)
            .retries(self.shape.retries)
            .name("chaos");
        if self.shape.has_time_limit {
            builder = builder.timeout(TIME_LIMIT);
        }
        if let Some(max_jobs) = self.shape.max_jobs {
            builder = builder.max_jobs_per_worker(max_jobs);
        }
        if let Some(limit) = self.shape.idle_timeout {
            builder = builder.idle_timeout(limit);
        }
        let pool = builder.build().expect("nothing has happened yet");
        let supervisor = supervisor_of(&pool);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let mut strikers = random.fork();
            let (is_over, weather) = (&is_over, self.shape.weather);
            let striker = scope.spawn(move || {
                strike(supervisor, weather, &mut strikers, self.faults, is_over);
            });
            let over = Over(is_over);
            std::thread::scope(|scope| {
                for _ in 0..self.shape.n_threads {
                    let random = random.fork();
                    let pool = &pool;
                    scope.spawn(move || self.work(pool, random));
                }
            });
            if self.shape.ends_calmly {
                drop(over);
                striker.join().expect("it does not panic");
                self.is_whole_again(&pool);
                self.end(pool, random);
            } else {
                self.end(pool, random);
                drop(over);
            }
        });
        if self.shape.start_method == StartMethod::Fork {
            // It has this pool alone.
            wait_for("the end of the pool's supervisor", || {
                !processes::is_alive(supervisor)
            });
        }
    }

    /// Every worker that died has been replaced, as far as its idle time lets it stay, unless the pool says why it cannot be.
    fn is_whole_again(&self, pool: &Pool) {
        let is_lost = || match pool.map_each(job!(square), [7]) {
            Ok(verdicts) => {
                self.audit.judge_square(7, &verdicts[0], self.faults);
                verdicts[0].is_err()
            }
            Err(error) => {
                self.audit.judge_failure(&error, self.faults);
                true
            }
        };
        if self.shape.idle_timeout.is_some() {
            // How many are there is the pool's own affair; one comes when there is something to do.
            let _judged_there = is_lost();
            return;
        }
        wait_for("all workers to be there again", || {
            pool.pids().len() == pool.workers() || is_lost()
        });
    }

    fn work(&self, pool: &Pool, mut random: Random) {
        for _ in 0..3 + random.below(4) {
            if self.shape.is_resized {
                self.resize(pool, &mut random);
            }
            match random.below(10) {
                0..3 => self.map_each(pool, &mut random),
                3 => self.map_squares(pool, &mut random),
                4..6 => self.map(pool, &mut random),
                6..9 => self.submit(pool, &mut random),
                _ => self.spawn(&mut random),
            }
        }
    }

    fn resize(&self, pool: &Pool, random: &mut Random) {
        if let Err(error) = pool.resize(random.pick(&[1, 2, 3, 4, 8])) {
            self.audit.judge_failure(&error, self.faults);
        }
    }

    fn errands(&self, n: u64, terms: Terms, random: &mut Random) -> Vec<Errand> {
        let is_large = random.percent(10);
        let micros = random.pick(&[0, 50, 500, 3000]);
        // Who tries again for ever must be able to succeed.
        let bad = if terms.retries == FOR_EVER {
            0
        } else {
            random.pick(&[0, 0, 3])
        };
        // At most one that costs its time limit.
        let mut slow = terms.has_time_limit && terms.retries <= 1 && random.percent(20);
        let errand = |_| {
            let end = match random.below(100) {
                roll if roll < bad => random.pick(&End::BAD),
                99 if slow => {
                    slow = false;
                    random.pick(&[End::Stop, End::Hang])
                }
                _ => End::Result,
            };
            let mut len = || {
                let most = if is_large && random.percent(10) {
                    2 << 20
                } else {
                    random.pick(&[0, 1, 20, 500, 20_000])
                };
                random.below(most + 1)
            };
            Errand {
                number: self.audit.next_number(),
                ledger: self.audit.ledger(),
                end,
                input: vec![len() as u8; len() as usize],
                output_len: len() as usize,
                micros: random.below(micros + 1),
            }
        };
        (0..n).map(errand).collect()
    }

    fn map_each(&self, pool: &Pool, random: &mut Random) {
        let (terms, n) = (self.shape.terms(), random.below(120));
        let errands = self.errands(n, terms, random);
        let items = errands.iter().map(Errand::with_input);
        if random.percent(50) {
            match pool.map_each(job!(digest), items) {
                Ok(verdicts) => self.judge_all(&errands, terms, verdicts, Errand::digest),
                Err(error) => self.fail(&errands, terms, &error),
            }
        } else {
            match pool.map_each(job!(stretch), items) {
                Ok(verdicts) => self.judge_all(&errands, terms, verdicts, Errand::stretched),
                Err(error) => self.fail(&errands, terms, &error),
            }
        }
    }

    fn judge_all<R: PartialEq + std::fmt::Debug>(
        &self,
        errands: &[Errand],
        terms: Terms,
        verdicts: Vec<Result<R, JobError>>,
        truth: impl Fn(&Errand) -> R,
    ) {
        assert_eq!(verdicts.len(), errands.len(), "one verdict an item");
        for (errand, verdict) in errands.iter().zip(&verdicts) {
            self.audit
                .judge(errand, terms, verdict, || truth(errand), self.faults);
        }
    }

    fn fail(&self, errands: &[Errand], terms: Terms, error: &procession::Error) {
        self.audit.judge_failure(error, self.faults);
        for errand in errands {
            self.audit.unheard(errand, terms);
        }
    }

    fn map_squares(&self, pool: &Pool, random: &mut Random) {
        // A worker that is replaced after a few jobs is forked for each few of these.
        let most = if self.shape.max_jobs.is_some() {
            1000
        } else {
            30_000
        };
        let n = random.below(most);
        match pool.map_each(job!(square), 0..n) {
            Ok(verdicts) => {
                assert_eq!(verdicts.len() as u64, n);
                for (x, verdict) in (0..).zip(&verdicts) {
                    self.audit.judge_square(x, verdict, self.faults);
                }
            }
            Err(error) => self.audit.judge_failure(&error, self.faults),
        }
    }

    /// With options of its own; it ends at the first failure.
    fn map(&self, pool: &Pool, random: &mut Random) {
        let terms = Terms {
            retries: random.pick(&[0, 1, FOR_EVER, FOR_EVER]),
            ..self.shape.terms()
        };
        let n = random.below(150);
        let errands = self.errands(n, terms, random);
        let items = errands.iter().map(Errand::with_input);
        let (retries, chunk_size) = (terms.retries, random.pick(&[1, 2, 7, 50, 1000]));
        let mapped = pool_map!(in pool, digest, items, chunk_size = chunk_size, retries = retries);
        match mapped {
            Ok(results) => {
                let verdicts = results.into_iter().map(Ok).collect();
                self.judge_all(&errands, terms, verdicts, Errand::digest);
            }
            Err(error) if error.kind() == ErrorKind::Job => {
                let index = error.index().expect("the item that failed");
                let verdict = Err(error.job_error().expect("its verdict").clone());
                for (place, errand) in errands.iter().enumerate() {
                    if place == index {
                        let truth = || errand.digest();
                        self.audit
                            .judge(errand, terms, &verdict, truth, self.faults);
                    } else {
                        self.audit.unheard(errand, terms);
                    }
                }
            }
            Err(error) => self.fail(&errands, terms, &error),
        }
    }

    fn submit(&self, pool: &Pool, random: &mut Random) {
        let (terms, n) = (self.shape.terms(), 1 + random.below(40));
        let errands = self.errands(n, terms, random);
        let cancelled = Terms {
            may_be_cancelled: true,
            ..terms
        };
        let mut handles = Vec::new();
        for errand in &errands {
            match pool.submit(job!(stretch), errand.with_input()) {
                Ok(handle) => handles.push((errand, handle)),
                Err(error) => self.fail(std::slice::from_ref(errand), terms, &error),
            }
        }
        for (errand, mut handle) in handles {
            let truth = || errand.stretched();
            match random.below(10) {
                0..2 => {
                    sleep(random.up_to_micros(1000));
                    let was_cancelled = handle.cancel();
                    let verdict = handle.join();
                    // A worker that is killed for the job may be hit by a signal first.
                    let terms = if was_cancelled { cancelled } else { terms };
                    self.audit
                        .judge(errand, terms, &verdict, truth, self.faults);
                }
                2 => {
                    drop(handle);
                    self.audit.unheard(errand, terms);
                }
                3 => {
                    let verdict = loop {
                        match handle.join_timeout(random.up_to_micros(3000)) {
                            Ok(None) => {}
                            Ok(Some(result)) => break Ok(result),
                            Err(error) => break Err(error),
                        }
                    };
                    self.audit
                        .judge(errand, terms, &verdict, truth, self.faults);
                }
                _ => self
                    .audit
                    .judge(errand, terms, &handle.join(), truth, self.faults),
            }
        }
    }

    fn spawn(&self, random: &mut Random) {
        // A process knows no pool and its limits.
        let terms = Terms {
            retries: 0,
            has_time_limit: false,
            may_be_cancelled: false,
        };
        let n = 1 + random.below(3);
        let errands = self.errands(n, terms, random);
        let spawned = errands
            .into_iter()
            .map(|errand| (spawn!(digest(errand.clone(), errand.input.clone())), errand));
        for (process, errand) in spawned.collect::<Vec<_>>() {
            let process = match process {
                Ok(process) => process,
                Err(error) => {
                    self.fail(&[errand], terms, &error);
                    continue;
                }
            };
            let truth = || errand.digest();
            let signalled = match random.below(6) {
                0 => {
                    self.faults.count_fatal(Signal::SIGKILL);
                    process.kill()
                }
                1 => {
                    self.faults.count_fatal(Signal::SIGTERM);
                    process.terminate()
                }
                2 => {
                    drop(process);
                    self.audit.unheard(&errand, terms);
                    continue;
                }
                _ => Ok(()),
            };
            if let Err(error) = signalled {
                self.audit.judge_failure(&error, self.faults);
            }
            self.audit
                .judge(&errand, terms, &process.join(), truth, self.faults);
        }
    }

    fn end(&self, pool: Pool, random: &mut Random) {
        match self.shape.ending {
            Ending::Close => {
                if let Err(error) = pool.close() {
                    self.audit.judge_failure(&error, self.faults);
                }
            }
            Ending::Terminate => pool.terminate(),
            Ending::Drop => drop(pool),
            Ending::DropBusy => self.drop_busy(pool, random),
        }
    }

    /// Half of the handles are joined while the pool ends, half after that.
    fn drop_busy(&self, pool: Pool, random: &mut Random) {
        let terms = Terms {
            may_be_cancelled: true,
            ..self.shape.terms()
        };
        let n = random.below(200);
        let mut handles = Vec::new();
        for errand in self.errands(n, terms, random) {
            match pool.submit(job!(stretch), errand.with_input()) {
                Ok(handle) => handles.push((errand, handle)),
                Err(error) => self.fail(&[errand], terms, &error),
            }
        }
        let join = |handles: Vec<(Errand, JobHandle<Vec<u8>>)>| {
            for (errand, handle) in handles {
                let (verdict, truth) = (handle.join(), || errand.stretched());
                self.audit
                    .judge(&errand, terms, &verdict, truth, self.faults);
            }
        };
        let later = handles.split_off(handles.len() / 2);
        std::thread::scope(|scope| {
            scope.spawn(|| join(handles));
            sleep(random.up_to_micros(5000));
            drop(pool);
        });
        join(later);
    }
}

/// The parent of a worker; workers may retire while one looks.
fn supervisor_of(pool: &Pool) -> u32 {
    loop {
        let parent = pool
            .pids()
            .first()
            .and_then(|&pid| processes::parent_of(pid));
        if let Some(parent) = parent {
            return parent;
        }
        pool.map(job!(square), [1])
            .expect("nothing has happened yet");
    }
}

/// Ends the strikes, also when the work panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
