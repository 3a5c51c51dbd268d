//! What all processes of a program have in common: the arena of small shared things, and the door.
//!
//! The *root* program makes both. Its supervisor keeps the [registry](super::registry) behind the door and maps the
//! arena, so that every worker, a fork of it, has both from birth; a worker that uses pools itself passes them on to
//! a supervisor of its own. So a handle means the same in every process of the tree.
//!
//! Invariants: in any one process the arena never changes. The door does when the root's supervisor was killed and
//! another has taken its place, or when a worker gone mad has shut it; the doors of processes that were there before
//! then lead nowhere, which is an error to those who knock, never a wait.
//!
//! No lock here: a process may be forked at any moment.

use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::link::Link;
use crate::error::{Error, ErrorKind};
use crate::memory::Memory;
use crate::sys::{self, Channel, Fd, memfd};

/// The id under which the registry has the arena.
pub(super) const ARENA: u64 = 1;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Family {
    arena: Memory,
    /// Not in a worker of a clean supervisor, which has it from the registry.
    arena_fd: Option<Fd>,
    root_pid: u32,
    door: OnceLock<Channel>,
    /// How many there have been behind that descriptor.
    n_doors: AtomicUsize,
}

static FAMILY: OnceLock<Family> = OnceLock::new();

impl Family {
    /// That of this process, which founds one if it has none.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        if let Some(family) = FAMILY.get() {
            return Ok(family);
        }
        let founded = Self::found().map_err(|error| match error.kind() {
            // Where there are no processes there is nothing to be shared.
            io::ErrorKind::Unsupported => Error::new(
                ErrorKind::Start,
                format!("failed to start the supervisor process: {error}"),
            ),
            _ => Error::system("make the memory for small shared values", error),
        })?;
        Ok(FAMILY.get_or_init(|| founded))
    }

    fn found() -> io::Result<Self> {
        let arena_fd = create_arena()?.leave_to_children();
        Ok(Self {
            arena: map_arena(&arena_fd)?,
            arena_fd: Some(arena_fd),
            root_pid: sys::pid(),
            door: OnceLock::new(),
            n_doors: AtomicUsize::new(0),
        })
    }

    /// In a clean supervisor, before it has a worker: becomes one of the family of its program. Again where the door was
    /// shut: the workers that are forked from then on have the new one.
    pub(super) fn join(arena: &Fd, door: Fd, root_pid: u32) -> io::Result<()> {
        if let Some(family) = FAMILY.get() {
            return family.set_door(Channel::from_fd(door));
        }
        let family = Self {
            arena: map_arena(arena)?,
            arena_fd: None,
            root_pid,
            door: OnceLock::new(),
            n_doors: AtomicUsize::new(0),
        };
        family.set_door(Channel::from_fd(door))?;
        // Nobody was in a family before `main`.
        let _ = FAMILY.set(family);
        Ok(())
    }

    /// The memory in which small shared things lie.
    pub(crate) fn arena(&self) -> &Memory {
        &self.arena
    }

    /// Whether this process is the one that founded the family, and not a worker or another child of it.
    pub(crate) fn is_root(&self) -> bool {
        self.root_pid == sys::pid()
    }

    pub(super) fn root_pid(&self) -> u32 {
        self.root_pid
    }

    /// The descriptor of the arena, for a new supervisor.
    pub(super) fn with_arena_fd<T>(&self, act: impl FnOnce(&Fd) -> io::Result<T>) -> io::Result<T> {
        match &self.arena_fd {
            Some(fd) => act(fd),
            None => act(&super::door::want(ARENA, 0)?),
        }
    }

    /// From now on the registry is asked here. The descriptor stays the same, so nobody has to be told.
    pub(super) fn set_door(&self, channel: Channel) -> io::Result<()> {
        match self.door.get() {
            Some(door) => door.fd().become_same_as(channel.fd())?,
            // Set under the lock of the one link that makes doors.
            None => drop(self.door.set(channel.leave_to_children())),
        }
        self.n_doors.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Where the registry is asked. The root has its supervisor started for it.
    pub(super) fn door(&self) -> io::Result<&Channel> {
        if self.is_root() {
            Link::of_program().map_err(io::Error::other)?;
        }
        self.latest_door()
            .ok_or_else(|| io::Error::other(super::SUPERVISOR_GONE))
    }

    /// The door as it is, served or not.
    pub(super) fn latest_door(&self) -> Option<&Channel> {
        self.door.get()
    }

    /// Tells the door that is served now from those before.
    pub(crate) fn number_of_doors(&self) -> io::Result<usize> {
        self.door()?;
        Ok(self.n_doors.load(Ordering::Acquire))
    }
}

/// As large as the address space and the limit of file sizes allow; it is sparse.
fn create_arena() -> io::Result<Fd> {
    const LARGEST: u64 = 1 << 30;
    const SMALLEST: u64 = 1 << 20;
    let mut len = LARGEST;
    loop {
        let created = memfd("procession-values", len).and_then(|fd| map_arena(&fd).map(|_| fd));
        match created {
            Err(_) if len > SMALLEST => len /= 2,
            other => return other,
        }
    }
}

fn map_arena(fd: &Fd) -> io::Result<Memory> {
    Memory::map(fd, fd.file_len()? as usize)
}

/// A number that no other process of the family will come upon, and not 0.
pub(crate) fn random() -> u64 {
    // std seeds its hash maps from the kernel, once per thread, and counts on from there; the pid sets a fork apart.
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(sys::pid());
    hasher.write_u64(sys::monotonic_nanos());
    hasher.finish() | 1
}
