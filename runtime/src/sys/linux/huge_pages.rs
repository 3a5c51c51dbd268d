//! Huge pages for large private memory that is about to be filled.
//!
//! The first touch of a page costs ten times what filling it does, and a huge page is 512 of them at one price. The kernel gives
//! huge pages to whoever asks where `/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`, as it does by default.
//!
//! Responsible for the advice. Whether it is followed is the kernel's affair, and nobody learns of it.
//!
//! Man page: `madvise(2)` MADV_HUGEPAGE.
//!
//! # Safety
//!
//! The advice changes neither what the memory holds nor who may use it.

#![expect(unsafe_code, reason = "madvise acts on addresses")]

use std::mem::MaybeUninit;

use super::memory::page_size;

/// Less than this has too few huge pages in it to be worth a system call, or to be mapped for itself by the C library.
const WORTHWHILE: usize = 4 << 20;

/// Asks for huge pages under memory that is to be filled from the front to the end, where it is large.
pub(crate) fn ask_for_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    if size_of_val(memory) < WORTHWHILE {
        return;
    }
    let to_next_page = memory.as_ptr().addr().wrapping_neg() % page_size();
    // The kernel rounds the length up to whole pages.
    let len = (size_of_val(memory) - to_next_page) / page_size() * page_size();
    let first = memory.as_mut_ptr().wrapping_byte_add(to_next_page);
    // SAFETY:
    // - The range is whole pages within `memory`, which is this process's own.
    // - Advice to use larger pages changes nothing that the program could see.
    let _advised = unsafe { libc::madvise(first.cast(), len, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the memory around this address is marked for huge pages.
    fn is_advised(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_around = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| {
                let (start, end) = range.split_once('-')?;
                let parse = |text| usize::from_str_radix(text, 16).ok();
                Some(parse(start)?..parse(end)?)
            });
            match (range, line.strip_prefix("VmFlags:")) {
                (Some(range), _) => is_around = range.contains(&address),
                (None, Some(flags)) if is_around => {
                    return flags.split(' ').any(|flag| flag == "hg");
                }
                _ => {}
            }
        }
        false
    }

    #[test]
    fn large_memory_is_marked_and_small_memory_is_not() {
        let mut large: Vec<u64> = Vec::with_capacity(2 * WORTHWHILE / size_of::<u64>());
        ask_for_huge_pages(large.spare_capacity_mut());
        let middle = large.as_ptr().addr() + WORTHWHILE;
        // A kernel may have been built without them.
        let has_any = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        assert_eq!(is_advised(middle), has_any);
        large.push(7);
        assert_eq!(large, [7]);

        let mut small: Vec<u8> = Vec::with_capacity(WORTHWHILE - 1);
        ask_for_huge_pages(small.spare_capacity_mut());
        assert!(!is_advised(small.as_ptr().addr() + WORTHWHILE / 2));
    }
}
