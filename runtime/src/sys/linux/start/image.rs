//! The program's own image in memory: which addresses are code of it, and which constructors it has.
//!
//! Responsible for turning the address of a function into an offset that holds in every process that runs
//! the same image, wherever the kernel put it there, and back; for telling whether the file that
//! `/proc/self/exe` names is this image; and for the list of constructors. Does not call anything it finds.
//!
//! Invariants: an offset is only ever made for, and an address only ever given out from, an executable
//! segment of the image that holds [`ANCHOR`]. Two images of one build have equal offsets; whether they
//! are of one build is for the caller to know (a copy executes `/proc/self/exe`). An address says nothing
//! about *which* function it is: the linker may fold two functions with the same code into one.
//!
//! See dl_iterate_phdr(3), elf(5), proc_pid_maps(5).
//!
//! # Safety
//!
//! The segment list is read in the callback of `dl_iterate_phdr`, which keeps the loader from unloading
//! anything meanwhile. The image that holds `ANCHOR` holds this code too, so it is never unloaded while
//! this code runs, and the list stays true.
#![expect(
    unsafe_code,
    reason = "the loader's list of segments is handed out by pointer"
)]

use std::ffi::{c_int, c_void};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::slice;
use std::sync::OnceLock;

/// Offsets are counted from here: any object that is certainly part of this image.
static ANCHOR: u8 = 0;

fn anchor() -> usize {
    (&raw const ANCHOR).addr()
}

/// The offset of `address` from an anchor in the program's image, the same in every process that runs it.
///
/// `None` if the address is not code of the image that holds this crate: a function of a shared library, for
/// example, which may lie elsewhere in another process.
pub(crate) fn offset_of(address: usize) -> Option<i64> {
    let offset = (address as i64).wrapping_sub(anchor() as i64);
    is_code(address).then_some(offset)
}

/// The address that [`offset_of`] turned into `offset`, in this process.
///
/// `None` if that is not code of the image: nothing outside of it can be called by a number that came from
/// another process.
pub(crate) fn address_of(offset: i64) -> Option<usize> {
    let address = (anchor() as i64).wrapping_add(offset) as usize;
    is_code(address).then_some(address)
}

fn is_code(address: usize) -> bool {
    static CODE: OnceLock<Vec<Range<usize>>> = OnceLock::new();
    let code = CODE.get_or_init(executable_segments);
    code.iter().any(|segment| segment.contains(&address))
}

/// The executable segments of the image that holds the anchor.
fn executable_segments() -> Vec<Range<usize>> {
    let mut segments: Vec<Range<usize>> = Vec::new();
    // SAFETY: the callback has the type the loader calls, and gets the vector, which lives through the call.
    unsafe { libc::dl_iterate_phdr(Some(collect_if_ours), (&raw mut segments).cast()) };
    segments
}

/// For each image that is loaded: 1 ends the search.
///
/// # Safety
///
/// `image` is a valid image of the loader's, `segments` points to a `Vec<Range<usize>>` nobody else uses.
unsafe extern "C" fn collect_if_ours(
    image: *mut libc::dl_phdr_info,
    _size: usize,
    segments: *mut c_void,
) -> c_int {
    // SAFETY: the loader's, valid during the callback, and not written by it.
    let image = unsafe { &*image };
    if image.dlpi_phdr.is_null() || image.dlpi_phnum == 0 {
        return 0;
    }
    // SAFETY: the loader says that there are this many headers at this place; they are mapped as long as
    // the image is.
    let headers = unsafe { slice::from_raw_parts(image.dlpi_phdr, usize::from(image.dlpi_phnum)) };
    let loaded = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD)
        .map(|header| {
            let start = (image.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            (
                start..start.wrapping_add(header.p_memsz as usize),
                header.p_flags & libc::PF_X != 0,
            )
        });
    if !loaded
        .clone()
        .any(|(segment, _)| segment.contains(&anchor()))
    {
        return 0;
    }
    // SAFETY: the pointer that `executable_segments` passed; that function waits for us and does not touch it.
    let segments = unsafe { &mut *segments.cast::<Vec<Range<usize>>>() };
    segments.extend(
        loaded
            .filter(|(_, executable)| *executable)
            .map(|(segment, _)| segment),
    );
    1
}

/// Whether executing `/proc/self/exe` would run the image that holds this code.
///
/// It would not when this crate is part of a shared library (a Python extension: the file is the Python
/// interpreter), nor when the program was started as an argument of the dynamic loader.
///
/// # Errors
///
/// Those of reading `/proc/self/exe` and `/proc/self/maps`.
pub(crate) fn is_on_disk() -> io::Result<bool> {
    let executable = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read("/proc/self/maps")?;
    // The kernel writes a newline within a path as `\012` here, and only that; both texts end in
    // " (deleted)" alike when the file has been removed.
    let executable = replace_newlines(executable.as_os_str().as_bytes());
    Ok(mapped_file(&maps, anchor()).is_some_and(|file| file == executable))
}

fn replace_newlines(path: &[u8]) -> Vec<u8> {
    path.split(|&byte| byte == b'\n')
        .collect::<Vec<_>>()
        .join(&b"\\012"[..])
}

/// The path in that line of `/proc/self/maps` whose range holds `address`.
fn mapped_file(maps: &[u8], address: usize) -> Option<&[u8]> {
    maps.split(|&byte| byte == b'\n').find_map(|line| {
        // "55d0c0a00000-55d0c0a21000 r--p 00000000 fe:00 1234    /path with spaces"
        let mut rest = line;
        let mut field = || {
            let end = rest.iter().position(|&byte| byte == b' ')?;
            let (field, after) = rest.split_at(end);
            rest = after.trim_ascii_start();
            Some(field)
        };
        let (start, end) = str::from_utf8(field()?).ok()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let (_permissions, _offset, _device, _inode) = (field()?, field()?, field()?, field()?);
        (start..end).contains(&address).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_code() -> usize {
        let function: fn() -> usize = some_code;
        function as usize
    }

    #[test]
    fn code_survives_the_way_there_and_back() {
        let offset = offset_of(some_code()).expect("a function of this image");
        assert_eq!(address_of(offset), Some(some_code()));
    }

    #[test]
    fn what_is_not_code_of_this_image_has_no_offset() {
        let on_the_stack = 0_u8;
        assert_eq!(offset_of((&raw const on_the_stack).addr()), None);
        assert_eq!(offset_of(anchor()), None, "the anchor is data");
        let on_the_heap = Box::new(0_u8);
        assert_eq!(offset_of((&raw const *on_the_heap).addr()), None);
        assert_eq!(offset_of(0), None);
        assert_eq!(offset_of(usize::MAX), None);
    }

    #[test]
    fn an_offset_from_afar_gives_no_address() {
        for offset in [i64::MIN, i64::MAX, 0, 1 << 40, -(1 << 40)] {
            assert_eq!(address_of(offset), None, "{offset}");
        }
    }

    #[test]
    fn this_test_binary_is_on_disk() {
        assert!(is_on_disk().unwrap());
    }

    #[test]
    fn paths_in_maps_may_have_spaces_and_newlines() {
        let maps =
            b"1000-2000 r--p 00000000 fe:00 12                         /a b/pro\\012g (deleted)\n\
                     2000-3000 rw-p 00000000 00:00 0 \n\
                     3000-4000 rw-p 00000000 00:00 0                          [heap]\n";
        assert_eq!(
            mapped_file(maps, 0x1fff),
            Some(&b"/a b/pro\\012g (deleted)"[..])
        );
        assert_eq!(mapped_file(maps, 0x2000), Some(&b""[..]));
        assert_eq!(mapped_file(maps, 0x3000), Some(&b"[heap]"[..]));
        assert_eq!(mapped_file(maps, 0x4000), None);
        assert_eq!(
            replace_newlines(b"/a b/pro\ng (deleted)"),
            b"/a b/pro\\012g (deleted)"
        );
    }
}
