//! A map that ends at the first failure and gives what was finished along with it.

use std::fmt;

use super::map::Map;
use super::source::Source;
use super::{MapOptions, Pool};
use crate::error::Error;
use crate::job::Job;

impl Pool {
    /// As [`map`](Self::map), but what is finished when an item fails is not lost: it is in the error.
    ///
    /// After a failure no further item begins; those that run are waited for and kept. The failure that is reported is the
    /// first in input order among the items that began.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map), with the finished results; `?` makes it an [`Error`].
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn reciprocal(x: u32) -> u32 { 100 / x }
    ///
    /// let pool = Pool::new(1)?;
    /// assert_eq!(pool.map_partial(job!(reciprocal), [1, 2, 4])?, [100, 50, 25]);
    /// let error = pool.map_partial(job!(reciprocal), [1, 2, 0, 4]).unwrap_err();
    /// assert_eq!(error.error().index(), Some(2));
    /// assert_eq!(error.results()[..2], [(0, 100), (1, 50)]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn map_partial<J, I>(&self, job: J, items: I) -> Result<Vec<J::Output>, MapError<J::Output>>
    where
        I: IntoIterator,
        J: Job<I::Item>,
    {
        self.map_partial_with(job, items, MapOptions::NONE)
    }

    /// As [`map_partial`](Self::map_partial), with options.
    ///
    /// # Errors
    ///
    /// As [`map_partial`](Self::map_partial); [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that
    /// cannot be meant.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn slow(millis: u64) -> u64 {
    ///     std::thread::sleep(Duration::from_millis(millis));
    ///     millis
    /// }
    ///
    /// let options = MapOptions::NONE.deadline(Duration::from_millis(300));
    /// let error = Pool::new(2)?.map_partial_with(job!(slow), [60_000, 1, 2], options).unwrap_err();
    /// assert_eq!(error.into_results(), [(1, 1), (2, 2)]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn map_partial_with<J, I>(
        &self,
        _job: J,
        items: I,
        options: MapOptions,
    ) -> Result<Vec<J::Output>, MapError<J::Output>>
    where
        I: IntoIterator,
        J: Job<I::Item>,
    {
        run::<J, _>(self, items.into_iter(), options)
    }
}

/// Why a map ended before its end, and the results that it had by then: of [`Pool::map_partial`].
///
/// ```
/// use procession::{Error, MapError, Pool, job, process_job};
///
/// #[process_job]
/// fn half(x: u32) -> u32 {
///     assert!(x % 2 == 0, "odd");
///     x / 2
/// }
///
/// let error: MapError<u32> = Pool::new(1)?.map_partial(job!(half), [2, 4, 5]).unwrap_err();
/// for (place, half) in error.results() {
///     println!("item {place}: {half}");
/// }
/// let error: Error = error.into();
/// assert_eq!(error.index(), Some(2));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct MapError<R> {
    error: Error,
    results: Vec<(usize, R)>,
}

impl<R> MapError<R> {
    /// Why the map ended: what [`Pool::map`] would have failed with.
    ///
    /// ```
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) { if x == 1 { std::process::exit(5) } }
    ///
    /// let error = Pool::new(1)?.map_partial(job!(leave), 0..3).unwrap_err();
    /// assert_eq!(error.error().job_error(), Some(&JobError::Exited { code: 5 }));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The results, each with the place of its item in the input, in input order.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) -> u32 { if x == 1 { std::process::exit(5) } else { x } }
    ///
    /// let error = Pool::new(1)?.map_partial(job!(leave), 0..3).unwrap_err();
    /// assert_eq!(error.results()[0], (0, 0));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn results(&self) -> &[(usize, R)] {
        &self.results
    }

    /// As [`results`](Self::results), to keep.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn name(x: u32) -> String { if x == 1 { std::process::exit(5) } else { x.to_string() } }
    ///
    /// let error = Pool::new(1)?.map_partial(job!(name), 0..3).unwrap_err();
    /// let (place, name): (usize, String) = error.into_results().swap_remove(0);
    /// assert_eq!((place, &*name), (0, "0"));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn into_results(self) -> Vec<(usize, R)> {
        self.results
    }
}

impl<R> fmt::Display for MapError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_results = self.results.len();
        write!(f, "{} ({n_results} other items have results)", self.error)
    }
}

impl<R> fmt::Debug for MapError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapError")
            .field("error", &self.error)
            .field("n_results", &self.results.len())
            .finish()
    }
}

impl<R> std::error::Error for MapError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The results are dropped.
impl<R> From<MapError<R>> for Error {
    fn from(error: MapError<R>) -> Self {
        error.error
    }
}

fn run<J: Job<I::Item>, I: Iterator>(
    pool: &Pool,
    items: I,
    options: MapOptions,
) -> Result<Vec<J::Output>, MapError<J::Output>> {
    let no_results = |error| MapError {
        error,
        results: Vec::new(),
    };
    let mut map = Map::<J, I::Item>::new(pool, options).map_err(no_results)?;
    map.ends_at_failure = true;
    map.keeps_begun = true;
    let mut items = Source::new(items);
    let (mut results, mut n_items, mut first_error) = (Vec::new(), 0, None);
    loop {
        match map.next_verdicts(&mut items) {
            Ok(Some(chunk)) => {
                for (place, verdict) in (n_items..).zip(chunk.each()) {
                    n_items = place + 1;
                    match verdict {
                        Ok(result) => results.push((place, result)),
                        Err(failure) => {
                            first_error.get_or_insert_with(|| map.failed(place, failure));
                        }
                    }
                }
            }
            Ok(None) => break,
            // The pool takes no further item; what is on its way still comes.
            Err(error) => {
                items.ended = true;
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) => Err(MapError { error, results }),
        None => Ok(results.into_iter().map(|(_, result)| result).collect()),
    }
}
