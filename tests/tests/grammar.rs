//! Every form of job and call that is promised, compiled and run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use procession::{Error, Pool, job, pool_map, process_job, spawn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn nothing() {}

#[process_job]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[process_job]
fn all_references(
    text: &str,
    numbers: &[f64],
    path: &Path,
    point: &Point,
) -> (usize, f64, PathBuf, Point) {
    (
        text.len(),
        numbers.iter().sum(),
        path.join("end"),
        point.clone(),
    )
}

#[test]
fn a_job_is_still_an_ordinary_function() {
    assert_eq!(square(12), 144);
    let as_a_value: fn(u64) -> u64 = square;
    assert_eq!([1, 2].map(as_a_value), [1, 4]);
}

#[test]
fn none_one_and_many_parameters() -> Result<(), Error> {
    assert_eq!(pool_map!(nothing, [(), ()])?, [(), ()]);
    assert_eq!(pool_map!(square, 0..4)?, [0, 1, 4, 9]);
    assert_eq!(pool_map!(add, [(1, 2), (3, 4)])?, [3, 7]);
    spawn!(nothing())?.join()?;
    assert_eq!(spawn!(square(3))?.join()?, 9);
    assert_eq!(spawn!(add(3, 4,))?.join()?, 7);
    Ok(())
}

#[test]
fn what_lends_to_a_reference() -> Result<(), Error> {
    let point = Point { x: 1.0, y: 2.0 };
    let numbers = vec![1.0, 2.0];
    let expected = (2, 3.0, PathBuf::from("a/end"), point.clone());
    assert_eq!(
        spawn!(all_references("ab", &numbers, Path::new("a"), &point))?.join()?,
        expected
    );
    assert_eq!(
        spawn!(all_references(
            String::from("ab"),
            numbers,
            PathBuf::from("a"),
            point.clone()
        ))?
        .join()?,
        expected
    );
    let shared: Arc<[f64]> = [1.0, 2.0].into();
    let several = [("ab", shared, PathBuf::from("a"), Arc::new(point))];
    assert_eq!(pool_map!(all_references, several)?, [expected]);
    Ok(())
}

#[test]
fn options_of_a_call_in_any_order() -> Result<(), Error> {
    let pool = Arc::new(Pool::new(2)?);
    let squares = [0, 1, 4];
    assert_eq!(pool_map!(in pool, square, 0..3)?, squares);
    assert_eq!(pool_map!(square, 0..3,)?, squares);
    assert_eq!(pool_map!(square, 0..3, retries = 1)?, squares);
    let limit = Duration::from_secs(9);
    assert_eq!(
        pool_map!(in &pool, square, 0..3, timeout = limit, retries = 1, chunk_size = 2,)?,
        squares
    );
    assert_eq!(
        pool_map!(in &*pool, square, 0..3, chunk_size = 2, timeout = limit)?,
        squares
    );
    assert_eq!(spawn!(in pool, square(4))?.join()?, 16);
    assert_eq!(pool.map(job!(square), 0..3)?, squares);
    assert_eq!(pool.submit(job!(add), (1, 2))?.join()?, 3);
    Ok(())
}

#[test]
fn arguments_are_evaluated_once_from_left_to_right() -> Result<(), Error> {
    let pool = Pool::new(1)?;
    let order = std::cell::RefCell::new(Vec::new());
    let note = |name: &'static str| order.borrow_mut().push(name);
    pool_map!(
        in { note("pool"); &pool },
        square,
        { note("items"); 0..3 },
        retries = { note("retries"); 1 },
        chunk_size = { note("chunk_size"); 1 },
    )?;
    spawn!(in { note("pool"); &pool }, add({ note("a"); 1 }, { note("b"); 2 }))?;
    assert_eq!(
        *order.borrow(),
        ["pool", "items", "retries", "chunk_size", "pool", "a", "b"]
    );
    Ok(())
}

#[process_job]
fn largest<T: Serialize + DeserializeOwned + PartialOrd + Copy>(values: Vec<T>) -> Option<T> {
    values.into_iter().reduce(|a, b| if b > a { b } else { a })
}

#[process_job]
fn parse<T>(text: &str) -> Option<T>
where
    T: Serialize + DeserializeOwned + std::str::FromStr,
{
    text.parse().ok()
}

#[process_job]
fn n_bytes<T>() -> usize {
    size_of::<T>()
}

#[process_job]
fn total<const N: usize>(values: &[u32; N]) -> (usize, u32)
where
    [u32; N]: Serialize + DeserializeOwned,
{
    (N, values.iter().sum())
}

#[process_job]
#[expect(
    clippy::needless_lifetimes,
    reason = "named lifetimes are what this job is about"
)]
fn lengths<'a, 'b, T>(a: &'a [T], b: &'b T, _: &'_ str) -> usize
where
    T: Serialize + DeserializeOwned + ToString,
{
    a.iter().map(|value| value.to_string().len()).sum::<usize>() + b.to_string().len()
}

#[test]
fn generics_are_inferred_or_written_out() -> Result<(), Error> {
    assert_eq!(
        pool_map!(largest, [vec![1_u8, 3], vec![2]])?,
        [Some(3), Some(2)]
    );
    assert_eq!(pool_map!(largest::<f32>, [vec![1.0, 3.0]])?, [Some(3.0)]);
    assert_eq!(pool_map!(parse::<u8>, ["7", "x"])?, [Some(7), None]);
    let inferred_from_the_result: Vec<Option<i64>> = pool_map!(parse, ["-7"])?;
    assert_eq!(inferred_from_the_result, [Some(-7)]);
    assert_eq!(spawn!(n_bytes::<u32>())?.join()?, 4);
    assert_eq!(spawn!(total([1, 2]))?.join()?, (2, 3));
    assert_eq!(spawn!(total::<3>([1, 2, 3]))?.join()?, (3, 6));
    assert_eq!(spawn!(lengths::<u64>(vec![10, 200], 3, "x"))?.join()?, 6);
    Ok(())
}

#[process_job]
fn patterns(
    (a, _): (u8, u8),
    Point { x, y: _ }: Point,
    [first, .., last]: [u8; 3],
    mut b: u8,
    _: String,
) -> (u8, f64, u8, u8, u8) {
    b += 1;
    (a, x, first, last, b)
}

#[process_job]
fn from(from: u8, to: u8, item: u8, argument_0: u8) -> [u8; 4] {
    [from, to, item, argument_0]
}

#[process_job]
fn argument_1(argument_1: u8, argument_0: &str) -> (u8, String) {
    (argument_1, argument_0.to_owned())
}

#[process_job]
fn r#match(r#type: u8) -> u8 {
    r#type
}

#[process_job]
extern "C" fn with_an_abi(x: i32) -> i32 {
    -x
}

#[process_job]
const fn constant(x: u8) -> u8 {
    x + 1
}

#[process_job]
fn owned_by_static(name: String) -> Cow<'static, str> {
    Cow::Owned(name)
}

#[process_job]
fn fallible(x: i32) -> Result<i32, String> {
    if x < 0 {
        Err(format!("{x} is negative"))
    } else {
        Ok(x)
    }
}

#[process_job]
fn nested(map: BTreeMap<String, Vec<Option<Point>>>, slice: &[Point]) -> usize {
    map.len() + slice.len()
}

#[test]
fn patterns_and_odd_names() -> Result<(), Error> {
    let point = Point { x: 1.5, y: 0.0 };
    assert_eq!(
        spawn!(patterns((1, 2), point.clone(), [3, 4, 5], 6, String::new()))?.join()?,
        (1, 1.5, 3, 5, 7)
    );
    assert_eq!(spawn!(from(1, 2, 3, 4))?.join()?, [1, 2, 3, 4]);
    assert_eq!(spawn!(argument_1(1, "a"))?.join()?, (1, "a".to_owned()));
    assert_eq!(spawn!(r#match(3))?.join()?, 3);
    assert_eq!(spawn!(with_an_abi(3))?.join()?, -3);
    assert_eq!(spawn!(constant(3))?.join()?, 4);
    assert_eq!(spawn!(owned_by_static("a".to_owned()))?.join()?, "a");
    assert_eq!(
        pool_map!(fallible, [1, -1])?,
        [Ok(1), Err("-1 is negative".to_owned())]
    );
    assert_eq!(spawn!(nested(BTreeMap::new(), [point]))?.join()?, 1);
    Ok(())
}

mod first {
    pub(crate) mod inner {
        #[procession::process_job]
        pub(crate) fn twin(x: u8) -> u8 {
            x + 1
        }
        #[procession::process_job]
        pub(in crate::first) fn restricted(x: u8) -> u8 {
            x
        }
    }
    pub(crate) use inner::twin as first_twin;
    pub(crate) fn call_restricted() -> u8 {
        procession::spawn!(inner::restricted(3))
            .unwrap()
            .join()
            .unwrap()
    }
}

mod second {
    #[procession::process_job]
    pub(crate) fn twin(x: u8) -> u8 {
        x + 2
    }
    pub(crate) mod everything {
        pub(crate) use super::*;
    }
}

#[test]
fn jobs_of_one_name_and_of_other_modules() -> Result<(), Error> {
    use first::first_twin;
    use second::everything::*;
    assert_eq!(pool_map!(first_twin, [1])?, [2]);
    assert_eq!(pool_map!(twin, [1])?, [3]);
    assert_eq!(pool_map!(crate::first::inner::twin, [1])?, [2]);
    assert_eq!(pool_map!(self::second::twin, [1])?, [3]);
    assert_eq!(first::call_restricted(), 3);
    Ok(())
}

struct Generic<T>(T);

impl<T> Generic<T> {
    fn run(&self) -> u8 {
        #[process_job]
        fn inside(x: u8) -> u8 {
            x + helper()
        }
        fn helper() -> u8 {
            10
        }
        spawn!(inside(1)).unwrap().join().unwrap()
    }
}

#[test]
fn jobs_inside_functions() -> Result<(), Error> {
    #[process_job]
    fn local(x: u8) -> u8 {
        #[process_job]
        fn inner(x: u8) -> u8 {
            x * 2
        }
        inner(x) + 1
    }
    assert_eq!(pool_map!(local, [1, 2])?, [3, 5]);
    assert_eq!(Generic("any").run(), 11);
    Ok(())
}

macro_rules! define_job {
    ($(#[$attribute:meta])* $vis:vis $name:ident, $parameter:ty, $result:ty, $body:expr) => {
        #[process_job]
        $(#[$attribute])*
        $vis fn $name(x: $parameter) -> $result {
            let call: fn($parameter) -> $result = $body;
            call(x)
        }
    };
}

define_job!(by_value, u64, u64, |x| x + 1);
define_job!(#[inline] #[must_use] pub(crate) by_reference, &str, usize, |x| x.len());
define_job!(by_slice, &[u8], usize, |x| x.len());

macro_rules! map {
    (job $job:path, $items:expr) => {
        pool_map!($job, $items)
    };
    (ident $job:ident, $items:expr) => {
        pool_map!($job, $items, retries = 0)
    };
    (expr $job:expr, $items:expr) => {
        pool_map!($job, $items)
    };
    (spawn $call:expr) => {
        spawn!($call)
    };
}

#[test]
fn jobs_and_calls_made_by_macros() -> Result<(), Error> {
    assert_eq!(pool_map!(by_value, [1])?, [2]);
    assert_eq!(pool_map!(by_reference, ["abc"])?, [3]);
    assert_eq!(pool_map!(by_slice, [[1, 2]])?, [2]);
    assert_eq!(map!(job second::twin, [1])?, [3]);
    assert_eq!(map!(ident square, [2])?, [4]);
    assert_eq!(map!(expr parse::<u8>, ["2"])?, [Some(2)]);
    assert_eq!(map!(spawn square(5))?.join()?, 25);
    Ok(())
}

#[test]
fn calls_in_the_heads_of_expressions() {
    if let Ok(squares) = pool_map!(square, 0..2) {
        assert_eq!(squares, [0, 1]);
    }
    match spawn!(square(2)) {
        Ok(child) => assert_eq!(child.join().unwrap(), 4),
        Err(error) => panic!("{error}"),
    }
    for result in pool_map!(square, (0..3).map(|x| x + 1)).unwrap() {
        assert!(result > 0);
    }
}

mod hash {
    #[procession::process_job(type = HashJob)]
    pub(crate) fn hash(x: u8) -> u8 {
        x ^ 0xff
    }
}
use hash::{HashJob, hash};

#[process_job(timeout = "1.5s", retries = 2, name = "a name", crate = ::procession)]
fn with_everything(x: u8) -> u8 {
    x
}

#[test]
fn arguments_of_the_attribute() -> Result<(), Error> {
    assert_eq!(pool_map!(HashJob, [0])?, [hash(0)]);
    assert_eq!(spawn!(HashJob(1))?.join()?, hash(1));
    assert_eq!(pool_map!(with_everything, [1])?, [1]);
    Ok(())
}

#[process_job]
#[cfg(any())]
fn absent(x: NoSuchType) -> u8 {
    x
}

#[cfg(any())]
#[process_job]
fn absent(x: NoSuchType) -> u8 {
    x
}

#[process_job]
#[cfg_attr(all(), cfg(all()))]
fn absent(x: u8) -> u8 {
    x
}

#[test]
fn a_job_can_be_conditional() -> Result<(), Error> {
    assert_eq!(pool_map!(absent, [1])?, [1]);
    Ok(())
}

#[no_implicit_prelude]
mod without_a_prelude {
    // Names that an expansion must not pick up.
    #[expect(dead_code, non_camel_case_types, reason = "there to be in the way")]
    struct usize;
    #[expect(dead_code, non_camel_case_types, reason = "there to be in the way")]
    struct str;
    #[expect(dead_code, reason = "there to be in the way")]
    struct Result;
    #[expect(dead_code, reason = "there to be in the way")]
    enum Option {
        None,
    }

    #[::procession::process_job(timeout = "1s")]
    pub(crate) fn bare(x: u64, y: &u8) -> u64 {
        x + <u64 as ::std::convert::From<u8>>::from(*y)
    }

    pub(crate) fn call() -> ::std::vec::Vec<u64> {
        match ::procession::pool_map!(bare, [(1, 2)], chunk_size = 1) {
            ::std::result::Result::Ok(sums) => sums,
            ::std::result::Result::Err(error) => ::std::panic!("{error}"),
        }
    }
}

#[test]
fn a_scope_without_a_prelude() {
    assert_eq!(without_a_prelude::call(), [3]);
}

/// Serde's bounds are demanded of each call, so a generic job need not repeat them.
#[process_job]
fn count<T>(values: Vec<T>, more: &[T]) -> usize {
    values.len() + more.len()
}

#[process_job]
#[deprecated]
fn old(x: u8) -> u8 {
    x
}

#[test]
fn bounds_that_may_be_left_out_and_warnings_that_stay() -> Result<(), Error> {
    assert_eq!(spawn!(count(vec![1_u8, 2], [3]))?.join()?, 3);
    #[expect(deprecated, reason = "the job's type warns as the function does")]
    let results = pool_map!(old, [1])?;
    assert_eq!(results, [1]);
    Ok(())
}
