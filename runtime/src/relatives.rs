//! Who this process is among those of its program: itself, the process that it works for, those that work for it.
//!
//! Responsible for: names and numbers. Not responsible for making or ending anybody.
//!
//! Invariant: all of it belongs to this process; one that was forked by other means has relatives of its own.

use std::sync::{Arc, Mutex, Weak};

use crate::dispatch::Dispatch;
use crate::sys::{self, PerProcess, lock};

/// A process: what it is called, and its number.
///
/// ```
/// let this = procession::current_process();
/// assert_eq!((this.name.as_str(), this.pid), ("main", std::process::id()));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessInfo {
    /// `main` for the program; for a worker the name of its pool and its [place](crate::worker_index), as in `worker-0`; for a
    /// process of [`spawn!`](crate::spawn) the name of its job, as in `square-0`.
    ///
    /// `ps` shows the first 15 bytes, of a worker as many of the pool's name as leave room for the place.
    pub name: String,
    /// Its number.
    pub pid: u32,
}

impl ProcessInfo {
    pub(crate) fn new(name: String, pid: u32) -> Self {
        Self { name, pid }
    }

    /// For whoever is made by this process.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&self.pid.to_le_bytes(), self.name.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (pid, name) = bytes.split_first_chunk()?;
        let name = String::from_utf8_lossy(name).into_owned();
        Some(Self::new(name, u32::from_le_bytes(*pid)))
    }
}

#[derive(Debug, Default)]
struct Relatives {
    /// This process and its parent, if it was born a worker.
    born: Mutex<Option<(ProcessInfo, Option<ProcessInfo>)>>,
    crews: Mutex<Crews>,
}

#[derive(Debug, Default)]
struct Crews {
    owned: Vec<Weak<Dispatch>>,
    /// Processes that nobody waits for, kept until they have ended.
    detached: Vec<Arc<Dispatch>>,
}

impl Crews {
    fn forget_the_gone(&mut self) {
        self.owned.retain(|crew| crew.strong_count() > 0);
        self.detached.retain(|crew| !crew.living().is_empty());
    }
}

fn relatives() -> &'static Relatives {
    static THIS: PerProcess<Relatives> = PerProcess::new();
    THIS.get()
}

/// In a new worker: how it is called, and what the program wrote about itself.
pub(crate) fn note_birth(name: &str, parent: &[u8]) {
    let this = ProcessInfo::new(name.to_owned(), sys::pid());
    *lock(&relatives().born) = Some((this, ProcessInfo::from_bytes(parent)));
}

/// A crew that works for this process from now on.
pub(crate) fn note_crew(crew: &Arc<Dispatch>) {
    let mut crews = lock(&relatives().crews);
    crews.forget_the_gone();
    crews.owned.push(Arc::downgrade(crew));
}

/// A crew whose owner lets it run.
pub(crate) fn note_detached(crew: Arc<Dispatch>) {
    let mut crews = lock(&relatives().crews);
    crews.forget_the_gone();
    crews
        .owned
        .retain(|owned| owned.as_ptr() != Arc::as_ptr(&crew));
    crews.detached.push(crew);
}

/// What a worker is called: the crew's name and its place.
pub(crate) fn long_name(crew: &str, place: usize) -> String {
    format!("{crew}-{place}")
}

/// The same for `ps`, which has room for 15 bytes: the place is what tells workers apart.
pub(crate) fn short_name(crew: &str, place: usize) -> String {
    const LONGEST: usize = 15;
    let place = format!("-{place}");
    let mut end = crew.len().min(LONGEST - place.len());
    while !crew.is_char_boundary(end) {
        end -= 1;
    }
    crew[..end].to_owned() + &place
}

/// This process: Python's `current_process()`.
///
/// ```
/// use procession::{Pool, job, process_job};
///
/// #[process_job]
/// fn own_name() -> String { procession::current_process().name }
///
/// let pool = Pool::builder().workers(1).name("resize").build()?;
/// assert_eq!(pool.map(job!(own_name), [()])?, ["resize-0"]);
/// assert_eq!(procession::current_process().name, "main");
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use]
pub fn current_process() -> ProcessInfo {
    let born = lock(&relatives().born);
    match &*born {
        Some((this, _)) => this.clone(),
        None => ProcessInfo::new("main".to_owned(), sys::pid()),
    }
}

/// The process that this one works for; `None` in the program itself: Python's `parent_process()`.
///
/// It is the one that made the pool or called [`spawn!`](crate::spawn), be it the program or a worker. The kernel's parent of a
/// worker is another one, its supervisor.
///
/// ```
/// use procession::{process_job, spawn};
///
/// #[process_job]
/// fn employer() -> Option<u32> { Some(procession::parent_process()?.pid) }
///
/// assert_eq!(spawn!(employer())?.join()?, Some(std::process::id()));
/// assert_eq!(procession::parent_process(), None);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use]
pub fn parent_process() -> Option<ProcessInfo> {
    let born = lock(&relatives().born);
    born.as_ref().and_then(|(_, parent)| parent.clone())
}

/// The processes that work for this one and live: the workers of its pools, and what [`spawn!`](crate::spawn) has started,
/// detached or not. Python's `active_children()`.
///
/// In the order in which their pools were made, the detached ones last. A worker that is just being replaced is not among them. The
/// processes that jobs start are children of those jobs, and not listed here.
///
/// ```
/// use procession::{Pool, active_children};
///
/// let pool = Pool::builder().workers(2).name("resize").build()?;
/// let names: Vec<String> = active_children().into_iter().map(|child| child.name).collect();
/// assert_eq!(names, ["resize-0", "resize-1"]);
/// drop(pool);
/// assert!(active_children().is_empty());
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use]
pub fn active_children() -> Vec<ProcessInfo> {
    let crews: Vec<Arc<Dispatch>> = {
        let mut crews = lock(&relatives().crews);
        crews.forget_the_gone();
        let owned = crews.owned.iter().filter_map(Weak::upgrade);
        owned.chain(crews.detached.iter().cloned()).collect()
    };
    crews.iter().flat_map(|crew| crew.living()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_keeps_the_place() {
        assert_eq!(short_name("worker", 3), "worker-3");
        assert_eq!(short_name("a_very_long_pool_name", 1023), "a_very_lon-1023");
        assert_eq!(short_name("fourteen_bytesé", 0), "fourteen_byte-0");
        assert_eq!(short_name("twelve_bytesé", 0), "twelve_bytes-0");
    }

    #[test]
    fn who_makes_a_worker_is_known_to_it() {
        let parent = ProcessInfo::new("worker-3".to_owned(), 77);
        assert_eq!(ProcessInfo::from_bytes(&parent.to_bytes()), Some(parent));
        assert_eq!(ProcessInfo::from_bytes(&[1, 2]), None);
    }
}
