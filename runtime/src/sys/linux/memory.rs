//! Anonymous shared memory: files without a name, and mappings of them.
//!
//! Responsible for: making such a file, mapping it, and giving memory to parts of it. Not
//! responsible for what lies in a mapping or who may write it when: that is the board's and the shared types' affair.
//!
//! Invariants: a mapping never reaches past the end of its file and the file can never shrink, so no access within
//! `len()` raises SIGBUS for lack of a file. (Lack of memory is excluded by
//! [`Mapping::populate`], as far as it can be.)
//!
//! Man pages: `memfd_create(2)`, `fcntl(2)` "File sealing", `mmap(2)`, `madvise(2)` MADV_POPULATE_WRITE.
//!
//! # Safety
//!
//! A [`Mapping`] hands out a pointer and its length, never a reference. The memory is shared with other processes,
//! which may write it at any moment; whoever dereferences the pointer answers for that.

#![expect(unsafe_code, reason = "mmap, munmap and madvise act on addresses")]

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, OnceLock};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::fstat;
use nix::unistd::{SysconfVar, ftruncate, sysconf};

use super::fd::Fd;
use super::identity::pid;
use super::memory_limits::available_memory;
use crate::sys::{PerProcess, lock};

/// Makes a file of `len` bytes that lives in memory, has no name and takes no memory until written.
///
/// Its length is sealed: a worker gone mad cannot cut it short under those who have it mapped. `name` is seen only
/// in `/proc/<pid>/maps`.
pub(crate) fn memfd(name: &str, len: u64) -> io::Result<Fd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Where `vm.memfd_noexec` is 2 nothing else is allowed; kernels before 6.3 do not know it.
    let not_executable = flags | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let file = match memfd_create(name, not_executable) {
        Err(Errno::EINVAL) => memfd_create(name, flags),
        other => other,
    }?;
    let end = i64::try_from(len).map_err(|_too_long| Errno::EFBIG)?;
    // Past this limit the kernel would send SIGXFSZ, which ends the program.
    if len > getrlimit(Resource::RLIMIT_FSIZE)?.0 {
        return Err(Errno::EFBIG.into());
    }
    ftruncate(&file, end)?;
    let fixed_length = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(fixed_length))?;
    Ok(Fd::from(file))
}

/// Part of the address space that shows a file from its beginning, shared with every process that maps it.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: NonZeroUsize,
    /// The process that mapped it. A forked child may lack it, and have something else at these addresses.
    pid: u32,
}

// SAFETY: a mapping belongs to the whole process; any thread may read its address, use it or unmap it.
unsafe impl Send for Mapping {}
// SAFETY: `&Mapping` gives out an address and a length, which do not change. See the module's head on what lies there.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`, readable and writable. They are left out of core dumps.
    ///
    /// # Errors
    ///
    /// Kind `InvalidInput` if `len` is 0, more than the file has or more than half of what can be addressed, or if the file is not sealed against shrinking:
    /// it may come from another process, and one that could shrink it could kill whoever maps it.
    pub(crate) fn shared(file: &Fd, len: usize) -> io::Result<Mapping> {
        let refused = |why: &str| {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("cannot map {why}"),
            ))
        };
        let Some(len) = NonZeroUsize::new(len) else {
            return refused("a file of no bytes");
        };
        // No reference may reach further, nor any offset.
        if isize::try_from(len.get()).is_err() {
            return refused("more than half of what can be addressed");
        }
        if !u64::try_from(fstat(file)?.st_size).is_ok_and(|size| size >= len.get() as u64) {
            return refused("more bytes than the file has");
        }
        let seals = fcntl(file, FcntlArg::F_GET_SEALS).unwrap_or(0);
        if seals & SealFlag::F_SEAL_SHRINK.bits() == 0 {
            return refused("a file that can be shrunk by others");
        }
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: without an address to begin at, the kernel takes one that is free: no memory of this process changes.
        let base = unsafe { mmap(None, len, protection, flags, file, 0) }?;
        let mapping = Mapping {
            base: base.cast(),
            len,
            pid: pid(),
        };
        mapping.advise(MmapAdvise::MADV_DONTDUMP)?;
        Ok(mapping)
    }

    /// The address of the first byte, the start of a page.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// In bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Leaves it out of processes forked from now on. They must not use this `Mapping`.
    pub(crate) fn keep_from_children(&self) -> io::Result<()> {
        self.advise(MmapAdvise::MADV_DONTFORK)?;
        hidden().insert(self.base.addr().get(), self.len.get());
        Ok(())
    }

    /// Has processes forked from now on inherit it again.
    pub(crate) fn show_to_children(&self) -> io::Result<()> {
        self.advise(MmapAdvise::MADV_DOFORK)?;
        hidden().remove(&self.base.addr().get());
        Ok(())
    }

    /// Gives memory to `len` bytes from `offset` on, so that touching them later cannot fail.
    ///
    /// # Errors
    ///
    /// Kind `OutOfMemory` if less than that is available; then nothing has been taken. Asked first because past a
    /// cgroup's limit the kernel does not refuse but kills a process of its choice. The answer can be out of date by
    /// the time the memory is taken, so this is best effort. Kind `InvalidInput` for what reaches past the mapping.
    ///
    /// Kernels before 5.14 cannot give memory in advance: there only the question is asked.
    pub(crate) fn populate(&self, offset: usize, len: usize) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let end = offset.checked_add(len).filter(|&end| end <= self.len());
        let Some(end) = end else {
            return Err(Errno::EINVAL.into());
        };
        check_available(len as u64)?;
        let start = offset / page_size() * page_size();
        // SAFETY: the sum lies within the mapping, which is one allocation.
        let address = unsafe { self.base.as_ptr().add(start) };
        // SAFETY:
        // - The range lies within what `shared` mapped, and begins at a page.
        // - Pages that exist keep their contents; others come into being with zeros, as they would by being touched.
        let result =
            unsafe { libc::madvise(address.cast(), end - start, libc::MADV_POPULATE_WRITE) };
        match Errno::result(result) {
            // Kernels before 5.14.
            Err(Errno::EINVAL) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    /// From now on a write of this process to `len` bytes from `offset` on, both in whole pages, ends it (SIGSEGV).
    pub(crate) fn protect_from_writes(&self, offset: usize, len: usize) -> io::Result<()> {
        let page = page_size();
        let end = offset.checked_add(len).filter(|&end| end <= self.len());
        if end.is_none() || !offset.is_multiple_of(page) {
            return Err(Errno::EINVAL.into());
        }
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the sum lies within the mapping, which is one allocation.
        let address = unsafe { self.base.as_ptr().add(offset) };
        // SAFETY: the range lies within what `shared` mapped; nobody in this process has leave to write there, which is
        // the caller's to know. Other processes keep their own rights.
        let result = unsafe { libc::mprotect(address.cast(), len, libc::PROT_READ) };
        Ok(Errno::result(result).map(drop)?)
    }

    fn advise(&self, advice: MmapAdvise) -> io::Result<()> {
        // SAFETY:
        // - The range is exactly what `shared` mapped, and still is: only `drop` unmaps it.
        // - None of MADV_DONTDUMP, MADV_DONTFORK and MADV_DOFORK changes what this process finds there.
        Ok(unsafe { madvise(self.base.cast(), self.len(), advice) }?)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.pid != pid() {
            return;
        }
        hidden().remove(&self.base.addr().get());
        // SAFETY: the range is exactly what `shared` mapped in this process, for this value alone; those who hold addresses from
        // `base()` have promised not to outlive it. Other processes keep their own mappings of the file.
        let unmapped = unsafe { munmap(self.base.cast(), self.len()) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

/// Where this process has mappings that its children lack, by their addresses, with their lengths.
static HIDDEN: PerProcess<Mutex<BTreeMap<usize, usize>>> = PerProcess::new();

fn hidden() -> MutexGuard<'static, BTreeMap<usize, usize>> {
    lock(HIDDEN.get())
}

/// In a child that a process of one thread has just forked: sees to it that nothing comes to lie where the parent had
/// mappings that the child lacks. A reference into one of these, which safe code may have leaked into a static, is
/// then a fault (SIGSEGV) and never a way into something else.
pub(crate) fn fill_gaps_of_hidden_mappings() -> io::Result<()> {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED_NOREPLACE;
    // The parent had one thread, so none of these is locked.
    let gaps: Vec<(usize, usize)> = HIDDEN
        .all()
        .flat_map(|hidden| lock(hidden).clone())
        .collect();
    for (address, len) in gaps {
        let (address, Some(len)) = (NonZeroUsize::new(address), NonZeroUsize::new(len)) else {
            continue;
        };
        // SAFETY: nothing that is mapped is replaced, and what comes to be mapped cannot be accessed.
        let filled = unsafe { mmap_anonymous(address, len, ProtFlags::PROT_NONE, flags) };
        match filled {
            // Filled in an ancestor of this process.
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn check_available(len: u64) -> io::Result<()> {
    // Not worth the question, which costs more than the memory.
    const SMALL: u64 = 256 * 1024;
    if len <= SMALL {
        return Ok(());
    }
    let available = available_memory();
    if len > available {
        return Err(io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!("{len} bytes of shared memory were asked for, {available} bytes are available"),
        ));
    }
    Ok(())
}

/// The size of a page in bytes.
pub(crate) fn page_size() -> usize {
    static PAGE_SIZE: OnceLock<usize> = OnceLock::new();
    *PAGE_SIZE.get_or_init(|| {
        let asked = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        // 4 KiB is the smallest page of any architecture Linux runs on.
        asked
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(4096)
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nix::sys::signal::Signal;

    use super::*;
    use crate::sys::testing::{in_child, watched};

    const MIB: u64 = 1 << 20;

    fn allocated_bytes(file: &Fd) -> u64 {
        fstat(file).unwrap().st_blocks.unsigned_abs() * 512
    }

    /// The first word of a mapping, as all processes see it.
    fn first_word(mapping: &Mapping) -> &AtomicU32 {
        // SAFETY: a page is large enough and aligned for a word; the word lives as long as the borrowed mapping, and
        // every process of these tests touches it only as an atomic.
        unsafe { mapping.base().cast().as_ref() }
    }

    #[test]
    fn what_a_child_writes_the_parent_reads() {
        watched(|| {
            let file = memfd("test", 4096).unwrap();
            let mapping = Mapping::shared(&file, 4096).unwrap();
            in_child(|| first_word(&mapping).store(7, Ordering::Relaxed)).succeeds();
            assert_eq!(first_word(&mapping).load(Ordering::Relaxed), 7);
        });
    }

    #[test]
    fn a_memfd_takes_no_memory_until_written_and_cannot_change_its_length() {
        let file = memfd("test", 1 << 40).unwrap();
        assert_eq!(allocated_bytes(&file), 0);
        assert_eq!(ftruncate(&file, 0), Err(Errno::EPERM));
        assert_eq!(ftruncate(&file, 1 << 41), Err(Errno::EPERM));
        let mapping = Mapping::shared(&file, 1 << 40).unwrap();
        first_word(&mapping).store(1, Ordering::Relaxed);
        assert_eq!(allocated_bytes(&file), page_size() as u64);
    }

    #[test]
    fn a_name_with_a_nul_is_an_error() {
        assert_eq!(
            memfd("a\0b", 4096).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_mapping_past_the_end_of_its_file_is_refused() {
        let file = memfd("test", 4096).unwrap();
        let error = Mapping::shared(&file, 4097).unwrap_err();
        assert_eq!(error.to_string(), "cannot map more bytes than the file has");
        let error = Mapping::shared(&file, 0).unwrap_err();
        assert_eq!(error.to_string(), "cannot map a file of no bytes");
    }

    #[test]
    fn a_file_that_another_process_could_shrink_is_not_mapped() {
        let unsealed = memfd_create("unsealed", MFdFlags::MFD_CLOEXEC).unwrap();
        ftruncate(unsealed.as_fd(), 4096).unwrap();
        let error = Mapping::shared(&Fd::from(unsealed), 4096).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot map a file that can be shrunk by others"
        );
    }

    #[test]
    fn a_mapping_kept_from_children_is_not_there_in_a_child() {
        watched(|| {
            let file = memfd("test", 4096).unwrap();
            let mapping = Mapping::shared(&file, 4096).unwrap();
            mapping.keep_from_children().unwrap();
            let child = in_child(|| first_word(&mapping).store(7, Ordering::Relaxed));
            assert_eq!(child.signal(), Some(Signal::SIGSEGV as i32));
        });
    }

    #[test]
    fn a_copy_dropped_in_a_child_unmaps_nothing_of_what_lies_there_now() {
        watched(|| {
            let file = memfd("test", 4096).unwrap();
            let mapping = Mapping::shared(&file, 4096).unwrap();
            mapping.keep_from_children().unwrap();
            let copy = std::cell::RefCell::new(Some(mapping));
            let child = in_child(|| {
                let mapping = copy.take().unwrap();
                let (place, len) = (mapping.base().addr(), mapping.len);
                let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
                let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
                // SAFETY: nothing is replaced, and nobody else knows what comes to lie there.
                let other = unsafe { mmap_anonymous(Some(place), len, protection, flags) };
                let other = other.unwrap().cast::<AtomicU32>();
                drop(mapping);
                // SAFETY: as large and aligned as a page, and mapped above for as long as this process lives.
                unsafe { other.as_ref() }.store(7, Ordering::Relaxed);
            });
            child.succeeds();
            assert!(copy.take().is_some());
        });
    }

    #[test]
    fn a_dropped_mapping_leaves_the_address_space() {
        let file = memfd("dropped-mapping", 4096).unwrap();
        let is_mapped = || {
            std::fs::read_to_string("/proc/self/maps")
                .unwrap()
                .contains("memfd:dropped-mapping")
        };
        let mapping = Mapping::shared(&file, 4096).unwrap();
        assert!(is_mapped());
        drop(mapping);
        assert!(!is_mapped());
    }

    #[test]
    fn populated_pages_are_held_and_their_contents_kept() {
        let file = memfd("test", 64 * MIB).unwrap();
        let mapping = Mapping::shared(&file, 64 * MIB as usize).unwrap();
        first_word(&mapping).store(7, Ordering::Relaxed);
        let page = page_size();
        // From the middle of the first page to the middle of the third.
        mapping.populate(page / 2, 2 * page).unwrap();
        assert_eq!(allocated_bytes(&file), 3 * page as u64);
        assert_eq!(first_word(&mapping).load(Ordering::Relaxed), 7);
        mapping.populate(5 * page, 0).unwrap();
        assert_eq!(allocated_bytes(&file), 3 * page as u64);
    }

    #[test]
    fn more_than_is_available_is_refused_with_both_numbers_before_any_is_taken() {
        let message = check_available(1 << 50).unwrap_err();
        assert_eq!(message.kind(), io::ErrorKind::OutOfMemory);
        let message = message.to_string();
        let start = format!("{} bytes of shared memory were asked for, ", 1_u64 << 50);
        assert!(
            message.starts_with(&start) && message.ends_with(" bytes are available"),
            "{message}"
        );
    }

    #[test]
    fn populating_past_the_end_is_an_error() {
        let mapping = Mapping::shared(&memfd("test", 8192).unwrap(), 4096).unwrap();
        for (offset, len) in [(0, 4097), (4096, 1), (usize::MAX, 2)] {
            let error = mapping.populate(offset, len).unwrap_err();
            assert_eq!(
                error.kind(),
                io::ErrorKind::InvalidInput,
                "{offset} and {len}"
            );
        }
    }
}
