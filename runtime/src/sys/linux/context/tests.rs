use nix::sys::stat::fstat;

use super::*;
use crate::sys::testing::alone;

fn inode(directory: &Fd) -> (u64, u64) {
    let status = fstat(directory).unwrap();
    (status.st_dev, status.st_ino)
}

fn copy(context: &Context) -> Context {
    let directory = context
        .working_directory
        .as_fd()
        .try_clone_to_owned()
        .unwrap();
    Context::from_bytes(&context.to_bytes(), Fd::from(directory)).unwrap()
}

#[test]
fn bytes_carry_everything() {
    let mut context = Context::capture().unwrap();
    context.groups = vec![7, 4_000_000_000];
    context.user.saved = 12;
    context.umask = 0o137;
    let copy = copy(&context);
    assert_eq!(copy.to_bytes(), context.to_bytes());
    assert_eq!(
        inode(copy.working_directory()),
        inode(context.working_directory())
    );
    assert_eq!(copy.groups, context.groups);
    assert_eq!((copy.user, copy.group), (context.user, context.group));
    assert_eq!(copy.umask, 0o137);
}

#[test]
fn bytes_that_are_cut_or_wild_are_an_error() {
    let bytes = Context::capture().unwrap().to_bytes();
    let directory = || Context::capture().unwrap().working_directory;
    for length in 0..HEAD_BYTES {
        assert!(
            Context::from_bytes(&bytes[..length], directory()).is_err(),
            "{length}"
        );
    }
    let mut wild = bytes.clone();
    wild[HEAD_BYTES - 4..HEAD_BYTES].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Context::from_bytes(&wild, directory()).is_err());
    assert!(Context::from_bytes(&bytes[..bytes.len() - 1], directory()).is_err());
}

#[test]
fn directory_environment_and_umask_are_put_back() {
    alone(|| {
        let directory =
            std::env::temp_dir().join(format!("procession-context-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::env::set_current_dir(&directory).unwrap();
        umask(Mode::from_bits_truncate(0o027));
        let odd_value = OsStr::from_bytes(b"\xff=\n");
        // SAFETY: one thread.
        unsafe { std::env::set_var("PROCESSION_TEST_ONLY", odd_value) };
        let context = Context::capture().unwrap();
        assert_eq!(context.umask, 0o027);

        // The directory is found even if its name is gone.
        std::fs::remove_dir(&directory).unwrap();
        std::env::set_current_dir("/").unwrap();
        umask(Mode::empty());
        // SAFETY: one thread.
        unsafe { std::env::set_var("PROCESSION_TEST_ONLY", "changed") };
        // SAFETY: one thread.
        unsafe { std::env::set_var("PROCESSION_TEST_MORE", "added") };
        // SAFETY: one thread.
        unsafe { std::env::remove_var("PATH") };
        copy(&context).apply_to_supervisor().unwrap();

        assert_eq!(
            std::env::var_os("PROCESSION_TEST_ONLY").as_deref(),
            Some(odd_value)
        );
        assert_eq!(std::env::var_os("PROCESSION_TEST_MORE"), None);
        assert!(std::env::var_os("PATH").is_some());
        let now = Context::capture().unwrap();
        assert_eq!(now.umask, 0o027);
        assert_eq!(
            inode(&now.working_directory),
            inode(&context.working_directory)
        );
    });
}

#[test]
fn ids_are_changed_only_when_they_differ() {
    alone(|| {
        let context = Context::capture().unwrap();
        // Needs no right: nothing is asked of the kernel.
        context.apply_ids_in_worker().unwrap();
        if context.user.effective != 0 {
            return;
        }
        let mut other = copy(&context);
        other.groups = vec![5, 6];
        other.group = Ids {
            real: 7,
            effective: 8,
            saved: 9,
        };
        other.user = Ids {
            real: 10,
            effective: 11,
            saved: 12,
        };
        other.apply_ids_in_worker().unwrap();
        let now = Context::capture().unwrap();
        assert_eq!(
            (&now.groups, now.group, now.user),
            (&other.groups, other.group, other.user)
        );
        assert!(
            context.apply_ids_in_worker().is_err(),
            "there is no way back to root"
        );
    });
}

#[test]
fn umask_is_read_from_its_line() {
    assert_eq!(
        umask_in(b"Name:\tUmask:\nUmask:\t0022\nState:\tR\n"),
        Some(0o022)
    );
    assert_eq!(umask_in(b"Name:\tx\n"), None);
}
