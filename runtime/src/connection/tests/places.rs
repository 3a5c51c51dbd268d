//! Where listeners are to be found: files of sockets, names without files, ports.

use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::{env, fs, process};

#[cfg(all(target_os = "linux", not(procession_unsupported)))]
use super::super::stream::{Deadline, Stream};
use super::*;
use crate::ErrorKind;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
use crate::sys::testing::{in_child, watched};

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("procession-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_path_is_a_socket_while_there_is_a_listener_and_nothing_afterwards() {
    let folder = Folder::new("path");
    let listener = Listener::bind(folder.socket(), KEY).unwrap();
    assert!(
        fs::metadata(folder.socket())
            .unwrap()
            .file_type()
            .is_socket()
    );
    serves(&listener);
    drop(listener);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn what_a_killed_listener_left_behind_is_replaced() {
    let folder = Folder::new("stale");
    // Dropped without its file being removed, as by a kill.
    drop(UnixListener::bind(folder.socket()).unwrap());
    serves(&Listener::bind(folder.socket(), KEY).unwrap());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn a_living_listener_and_a_file_that_is_no_socket_are_left_alone() {
    let folder = Folder::new("alive");
    let listener = Listener::bind(folder.socket(), KEY).unwrap();
    let error = Listener::bind(folder.socket(), KEY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::System);
    assert!(
        error.to_string().contains("Address already in use"),
        "{error}"
    );
    serves(&listener);
    let file = folder.0.join("file");
    fs::write(&file, "mine").unwrap();
    assert!(Listener::bind(&file, KEY).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn a_fork_that_drops_its_copy_leaves_listener_and_file() {
    watched(|| {
        let folder = Folder::new("fork");
        for address in of_each_kind(&folder) {
            let listener = Listener::bind(address, KEY).unwrap();
            let listener = std::cell::Cell::new(Some(listener));
            in_child(|| drop(listener.take())).succeeds();
            serves(&listener.take().unwrap());
        }
    });
}

#[test]
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn a_fork_that_accepts_at_its_copy_is_told_of_the_end() {
    watched(|| {
        let folder = Folder::new("accepts");
        for address in of_each_kind(&folder) {
            let listener = Listener::bind(address, KEY).unwrap();
            let fork = in_child(|| {
                let error = listener.accept::<u8, u8>().map(drop).unwrap_err();
                assert!(error.to_string().contains("has dropped it"), "{error}");
            });
            drop(listener);
            fork.succeeds();
        }
    });
}

#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn of_each_kind(folder: &Folder) -> [Address; 3] {
    let name = format!("procession-fork-{}", process::id());
    [
        Address::Unix(folder.socket()),
        Address::Abstract(name),
        "tcp:127.0.0.1:0".to_address().unwrap(),
    ]
}

#[test]
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn who_waits_for_a_listener_is_told_of_its_end_though_a_fork_has_a_copy() {
    let folder = Folder::new("copy");
    for address in of_each_kind(&folder) {
        let listener = Listener::bind(address, KEY).unwrap();
        let address = listener.address().clone();
        let connect = || Stream::connect(&address, Deadline::NEVER);
        let guest = connect().unwrap();
        let none = listener.accept_timeout::<u8, u8>(Duration::from_millis(5));
        assert!(none.unwrap().is_none());
        let waits = connect().unwrap();
        let fork = in_child(|| thread::sleep(PATIENCE));
        drop(listener);
        let told = |stream: &Stream| loop {
            match stream.read_within(&mut [0; 256], Some(PATIENCE / 2)) {
                Ok(0) => break,
                // The greeting.
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                    break;
                }
            }
        };
        told(&guest);
        told(&waits);
        connect().unwrap_err();
        if !matches!(address, Address::Abstract(_)) {
            serves(&Listener::bind(&address, KEY).unwrap());
        }
        fork.kill();
        serves(&Listener::bind(&address, KEY).unwrap());
    }
}

#[test]
fn a_file_that_is_another_listeners_by_now_is_left_to_it() {
    let folder = Folder::new("other");
    let old = Listener::bind(folder.socket(), KEY).unwrap();
    fs::remove_file(folder.socket()).unwrap();
    let new = Listener::bind(folder.socket(), KEY).unwrap();
    drop(old);
    serves(&new);
}

#[test]
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn who_keeps_the_turn_in_a_folder_keeps_nobody_from_listening_there() {
    let folder = Folder::new("turn");
    let kept = crate::sys::take_turn(fs::File::open(&folder.0).unwrap(), Duration::ZERO);
    assert!(kept.is_some());
    serves(&Listener::bind(folder.socket(), KEY).unwrap());
}

#[test]
fn of_many_that_replace_a_stale_file_at_once_one_listens_there() {
    let folder = Folder::new("race");
    for _ in 0..20 {
        drop(UnixListener::bind(folder.socket()).unwrap());
        let bound: Vec<_> = thread::scope(|scope| {
            let bind = || Listener::bind(folder.socket(), KEY);
            let threads = [(); 4].map(|()| scope.spawn(bind));
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap().ok())
                .collect()
        });
        assert_eq!(bound.len(), 1);
        serves(&bound[0]);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }
}

/// Who comes then waits in the kernel, in `connect`.
#[test]
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn where_nobody_accepts_and_the_queue_is_full_times_hold() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    let (folder, n_queued) = (Folder::new("full"), AtomicU64::new(0));
    let busy = UnixListener::bind(folder.socket()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while std::os::unix::net::UnixStream::connect(folder.socket()).is_ok() {
                n_queued.fetch_add(1, Relaxed);
            }
        });
        let mut seen = u64::MAX;
        while n_queued.load(Relaxed) != seen {
            seen = n_queued.load(Relaxed);
            thread::sleep(Duration::from_millis(100));
        }
        let options = Options::new().handshake_timeout(Duration::from_millis(20));
        let connected = Client::connect_with::<u8, u8>(folder.socket(), KEY, &options);
        assert_eq!(connected.unwrap_err(), ConnectionError::TimedOut);
        assert!(Listener::bind(folder.socket(), KEY).is_err(), "it is alive");
        drop(busy);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_without_a_file_is_free_again_at_once() {
    let name = format!("unix:@procession-test-{}", process::id());
    for _ in 0..2 {
        let listener = Listener::bind(name.as_str(), KEY).unwrap();
        assert_eq!(listener.address().to_string(), name);
        assert!(Listener::bind(name.as_str(), KEY).is_err());
        serves(&listener);
    }
}

#[test]
fn a_listener_that_ends_ends_those_who_wait_for_it() {
    let listener = listener();
    thread::scope(|scope| {
        let address = listener.address().clone();
        let client = scope.spawn(move || Client::connect::<u8, u8>(&address, KEY));
        // It has come, and it has not been let in.
        while listener
            .accept_timeout::<u64, u64>(Duration::ZERO)
            .unwrap()
            .is_none()
            && !client.is_finished()
        {}
        drop(listener);
        assert!(client.join().unwrap().is_err());
    });
}
