//! A library that forbids what it can, to see that an expansion breaks no rule of its users. Checked by `ui.rs`, with clippy where it is installed.

#![deny(warnings, missing_docs, unreachable_pub, unnameable_types, unused_qualifications, rust_2018_idioms)]
#![deny(missing_debug_implementations, missing_copy_implementations, single_use_lifetimes, unused_results, let_underscore)]
#![deny(trivial_casts, trivial_numeric_casts, unused_lifetimes, redundant_lifetimes, explicit_outlives_requirements)]
#![deny(clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use procession::{Error, Pool, job, pool_map, process_job, spawn};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A job with every manner of parameter.
#[process_job(timeout = "1m", retries = 1)]
#[must_use]
pub fn every_manner(text: &str, numbers: &[f64], path: &Path, factor: f64, (a, _): (u8, u8)) -> f64 {
    let n_bytes = text.len() + path.as_os_str().len() + usize::from(a);
    f64::from(u32::try_from(n_bytes).unwrap_or(u32::MAX)) * factor + numbers.iter().sum::<f64>()
}

/// A generic job.
#[process_job]
pub fn first<T: Serialize + DeserializeOwned + Clone, const N: usize>(values: &[T; N]) -> Option<T>
where
    [T; N]: Serialize + DeserializeOwned,
{
    values.first().cloned()
}

/// A generic job by value.
#[process_job]
#[must_use]
pub fn same<T: Serialize + DeserializeOwned>(x: T, _: &str) -> T {
    x
}

/// A job without parameters.
#[process_job]
pub const fn nothing() {}

/// A job that is still called by some.
#[process_job]
#[deprecated = "use `first`"]
#[must_use]
pub fn old(x: u64) -> u64 {
    x
}

mod private {
    /// Seen from outside by re-export.
    #[procession::process_job]
    #[must_use]
    pub fn reexported(x: String) -> String {
        x
    }

    #[procession::process_job]
    pub(super) fn restricted(x: u8) -> u8 {
        x
    }
}

pub use private::reexported;

/// Calls them all.
///
/// # Errors
///
/// None in truth.
pub fn calls(pool: &Pool, names: Vec<String>) -> Result<Vec<String>, Error> {
    let sums = pool_map!(in pool, every_manner, [("a", [1.0], Path::new("b"), 2.0, (1, 1))], timeout = Duration::from_secs(1))?;
    let firsts = pool_map!(first, [[sums.len()]], chunk_size = 1)?;
    spawn!(nothing())?.join()?;
    let x = spawn!(in pool, private::restricted(3))?.join()?;
    let copies = pool.map(job!(reexported), [format!("{firsts:?} {x}")])?;
    #[expect(deprecated, reason = "the type warns as the function does")]
    let _old = pool_map!(old, [1])?;
    pool_map!(reexported, names.into_iter().chain(copies))
}
