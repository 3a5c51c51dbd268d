//! The call macros: each hands its tokens to the proc macro of the same name, behind the path of this crate.
//!
//! `$crate` is why these are `macro_rules`: it names this crate wherever the call stands, also when
//! the dependency is renamed or the macro comes through another crate's re-export.

/// Runs a job on every item of an iterator, in the worker processes of a pool, and gives the results in input order.
///
/// ```text
/// pool_map!(job, items)
/// pool_map!(in pool, job, items, chunk_size = n, timeout = duration, deadline = duration, retries = n)
/// ```
///
/// | part | meaning |
/// |---|---|
/// | `in pool` | a [`Pool`](crate::Pool) of yours, or anything that dereferences to one (`&pool`, `Arc<Pool>`); without it the default pool, made at first use |
/// | `job` | the path of a [`#[process_job]`](crate::process_job) function: `square`, `jobs::square`, `sort::<u64>`. The compiler's "expected struct, variant or union type, found function" means that it lacks the attribute |
/// | `items` | any `IntoIterator`: of plain values for a job of one parameter, of tuples for several, of `()` for none |
/// | `chunk_size = n` | `usize`: so many items are handed out at a time, where the pool would otherwise choose by itself |
/// | `timeout = d` | `Duration`: how long one item may take before its worker is killed |
/// | `deadline = d` | `Duration`: how long the whole map may take; then it ends with an error, see [`MapOptions::deadline`](crate::MapOptions::deadline) |
/// | `retries = n` | `u32`: how often an item that failed (a panic, a death, a time-out) is tried again |
///
/// Without `in pool`, the environment variable `PROCESSION_EXECUTOR` (`process`, `thread`, `inline`) may have the items run in threads
/// or in the caller instead, see [`Executor`](crate::Executor); on systems without worker processes they run in the caller. No job can
/// be ended there, so time-outs and deadlines are not enforced.
///
/// The options may stand in any order, each at most once; they override what the job's attribute says. All
/// expressions are evaluated once, from left to right, in the calling process.
///
/// The value is a `Result<Vec<R>, Error>`, where `R` is what the job returns, which may be a `Result` itself.
///
/// # Errors
///
/// The first failure in input order, an [`Error`](crate::Error) that tells the item's index. Items that had not started by then are cancelled.
///
/// # Examples
///
/// ```
/// use procession::{Pool, pool_map, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// #[process_job]
/// fn repeat(word: &str, times: usize) -> String {
///     word.repeat(times)
/// }
///
/// # fn main() -> Result<(), procession::Error> {
/// assert_eq!(pool_map!(square, 0..5)?, [0, 1, 4, 9, 16]);
///
/// let pool = Pool::new(2)?;
/// let words = pool_map!(in pool, repeat, [("ha", 2), ("ho", 3)], chunk_size = 1)?;
/// assert_eq!(words, ["haha", "hohoho"]);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! pool_map {
    ($($tokens:tt)*) => { $crate::__private::pool_map!([$crate] $($tokens)*) };
}

/// Runs one call of a job: in a fresh process of its own, or queued on a pool.
///
/// ```text
/// spawn!(job(a, b))             -> Result<Process<R>, Error>
/// spawn!(in pool, job(a, b))    -> Result<JobHandle<R>, Error>
/// ```
///
/// `job` is the path of a [`#[process_job]`](crate::process_job) function. The arguments are evaluated once, from
/// left to right, in the calling process; where a parameter is a reference, anything that can lend it may be
/// passed (`vec`, `&vec`, `[1, 2]` or an `Arc<[T]>` for `&[T]`). `pool` is anything that dereferences to a
/// [`Pool`](crate::Pool).
///
/// # Errors
///
/// An [`Error`](crate::Error) when the process cannot be made or the pool is closed. What becomes of the job itself is told
/// by `join` of the [`Process`](crate::Process) or the [`JobHandle`](crate::JobHandle).
///
/// # Examples
///
/// ```
/// use procession::{process_job, spawn};
///
/// #[process_job]
/// fn add(a: u64, b: u64) -> u64 {
///     a + b
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let child = spawn!(add(1, 2))?;
/// assert_eq!(child.join()?, 3);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! spawn {
    ($($tokens:tt)*) => { $crate::__private::spawn!([$crate] $($tokens)*) };
}

/// A job as a value, for the methods of [`Pool`](crate::Pool): `pool.map(job!(square), 0..10)`.
///
/// Takes the path of a [`#[process_job]`](crate::process_job) function and gives an `impl Job<…>` of no size.
///
/// # Examples
///
/// ```
/// use procession::{Pool, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// # fn main() -> Result<(), procession::Error> {
/// let pool = Pool::new(2)?;
/// assert_eq!(pool.map(job!(square), 0..3)?, [0, 1, 4]);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! job {
    ($($tokens:tt)*) => { $crate::__private::job!([$crate] $($tokens)*) };
}
