//! Objects in processes of their own, and what becomes of the others when somebody dies.

use std::thread;

use crate::connection::{Listener, random_key};
use crate::sys::testing::signal_set;
use crate::{
    Dict, Error, ErrorKind, JobError, List, Namespace, process_job, process_object, spawn,
};

struct Register {
    entries: Vec<(String, u64)>,
}

#[process_object]
impl Register {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    pub(crate) fn with(name: String, (first, second): (u64, u64)) -> Self {
        Self {
            entries: vec![(name, first + second)],
        }
    }

    pub(crate) fn unmakeable() -> Self {
        panic!("as it is meant to");
    }

    /// Adds to an entry, and gives what it is then.
    pub(crate) fn add(&mut self, name: String, n: u64) -> u64 {
        if let Some((_, value)) = self.entries.iter_mut().find(|(key, _)| *key == name) {
            *value += n;
            return *value;
        }
        self.entries.push((name, n));
        n
    }

    pub(crate) fn entries(&self) -> Vec<(String, u64)> {
        self.entries.clone()
    }

    pub(crate) fn fail(&mut self) {
        self.entries.push(("before the panic".into(), 0));
        panic!("as it is meant to");
    }

    pub(crate) fn exit(&self) {
        std::process::exit(3);
    }

    /// The signals that the thread of this call holds back.
    pub(crate) fn held_back(&self) -> u64 {
        signal_set("SigBlk:")
    }

    pub(crate) fn wait(&self) {
        thread::park();
    }

    fn _no_method_of_a_proxy() -> u8 {
        0
    }
}

#[process_job]
fn add_often(register: RegisterProxy, n: u64) -> Result<u64, Error> {
    (0..n).try_fold(0, |_, _| register.add("jobs".into(), 1))
}

#[test]
fn an_object_is_used_from_many_processes_and_no_update_is_lost() {
    let register = RegisterProxy::with("start".into(), (40, 2)).unwrap();
    let jobs = [(); 3].map(|()| spawn!(add_often(register.clone(), 200)).unwrap());
    for job in jobs {
        job.join().unwrap().unwrap();
    }
    let entries = register.entries().unwrap();
    assert_eq!(entries, [("start".into(), 42), ("jobs".into(), 600)]);
}

#[test]
fn a_method_that_panics_is_its_callers_error_and_the_object_lives_on() {
    let register = RegisterProxy::new().unwrap();
    let error = register.fail().unwrap_err();
    assert!(
        matches!(error.job_error(), Some(JobError::Panicked { message, .. }) if message == "as it is meant to")
    );
    assert_eq!(
        register.entries().unwrap(),
        [("before the panic".into(), 0)]
    );
    assert_eq!(register.clone().add("after".into(), 1).unwrap(), 1);
}

#[test]
fn a_server_that_ends_is_an_error_for_who_waits_and_for_who_comes_later() {
    let register = RegisterProxy::new().unwrap();
    let other = register.clone();
    other.entries().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| register.wait());
        let killed = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(other.server_pid().unwrap() as i32),
            nix::sys::signal::Signal::SIGKILL,
        );
        killed.unwrap();
        assert_eq!(
            waiting.join().unwrap().unwrap_err().kind(),
            ErrorKind::Connection
        );
    });
    for proxy in [&register, &other] {
        assert_eq!(proxy.entries().unwrap_err().kind(), ErrorKind::Connection);
    }
    let register = RegisterProxy::new().unwrap();
    assert_eq!(register.exit().unwrap_err().kind(), ErrorKind::Connection);
}

#[test]
fn a_client_that_dies_in_a_call_harms_nobody() {
    let register = RegisterProxy::new().unwrap();
    let client = spawn!(add_often(register.clone(), u64::MAX)).unwrap();
    while register.entries().unwrap().is_empty() {}
    client.kill().unwrap();
    assert!(client.join().is_err());
    // A call of its own may still be on its way, and is carried out like any other.
    assert_eq!(register.add("mine".into(), 1).unwrap(), 1);
    assert_eq!(register.add("mine".into(), 1).unwrap(), 2);
}

#[test]
fn an_object_that_cannot_be_made_is_an_error_with_the_reason() {
    let error = RegisterProxy::unmakeable().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    assert!(error.to_string().contains("as it is meant to"), "{error}");
}

struct Other;

#[process_object]
impl Other {
    fn nothing(&self) {}
}

#[test]
fn an_object_is_served_to_programs_that_have_its_key_and_its_type() {
    let key = random_key().unwrap();
    let listener = Listener::bind("tcp:127.0.0.1:0", key).unwrap();
    let address = listener.address().clone();
    thread::spawn(move || RegisterProxy::serve(Register::new(), &listener));
    let register = RegisterProxy::connect(&address, key).unwrap();
    assert_eq!(register.add("a".into(), 5).unwrap(), 5);
    assert_eq!(register.server_pid(), None);
    let sigterm = 1 << (nix::libc::SIGTERM - 1);
    assert_ne!(
        register.held_back().unwrap() & sigterm,
        0,
        "handlers are the program's"
    );
    assert!(RegisterProxy::connect(&address, b"another key").is_err());
    assert!(OtherProxy::connect(&address, key).is_err());
    assert_eq!(register.clone().entries().unwrap(), [("a".into(), 5)]);
}

#[process_job]
fn count_up(counts: Dict<String, u64>, n: u64) -> Result<(), Error> {
    let add = |count: Option<u64>| Some(count.unwrap_or(0) + 1);
    (0..n).try_for_each(|_| counts.update("all".into(), add).map(drop))
}

#[test]
fn no_update_of_a_dict_is_lost_among_many() {
    let counts = Dict::new().unwrap();
    let jobs = [(); 3].map(|()| spawn!(count_up(counts.clone(), 200)).unwrap());
    for job in jobs {
        job.join().unwrap().unwrap();
    }
    assert_eq!(counts.items().unwrap(), [("all".to_owned(), 600)]);
}

#[process_job]
fn add_to_all(list: List<u64>, shared: Namespace, n: u64) -> Result<(), Error> {
    for _ in 0..n {
        list.update(0, |count| count + 1)?;
        list.push(n)?;
        shared.update("count", |count: Option<u64>| Some(count.unwrap_or(0) + 1))?;
    }
    Ok(())
}

#[test]
fn no_update_of_a_list_or_a_namespace_is_lost_among_many() {
    let (list, shared) = (List::new().unwrap(), Namespace::new().unwrap());
    list.push(0).unwrap();
    let jobs = [(); 3].map(|()| spawn!(add_to_all(list.clone(), shared.clone(), 50)).unwrap());
    for job in jobs {
        job.join().unwrap().unwrap();
    }
    assert_eq!(list.get(0).unwrap(), Some(150));
    assert_eq!(list.len().unwrap(), 151);
    assert_eq!(shared.get::<u64>("count").unwrap(), Some(150));
}

#[test]
fn a_value_of_another_type_is_told_and_left_as_it_was() {
    let shared = Namespace::new().unwrap();
    shared.set("x", &5_u64).unwrap();
    let error = shared.get::<i64>("x").unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            ErrorKind::InvalidInput,
            "`x` is of type `u64` and was asked for as `i64`"
        )
    );
    let changed = shared.update("x", |_: Option<String>| None);
    assert_eq!(changed.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(shared.get::<u64>("x").unwrap(), Some(5));
}

#[test]
fn behind_the_end_of_a_list_nothing_is_stored() {
    let list = List::new().unwrap();
    list.extend([1, 2]).unwrap();
    assert_eq!(list.set(2, 9).unwrap(), None);
    assert_eq!(list.update(2, |_| 9).unwrap(), None);
    assert_eq!(list.remove(2).unwrap(), None);
    let error = list.insert(3, 9).unwrap_err();
    assert_eq!(
        error.to_string(),
        "place 3 is behind the end of a list of 2: `push` puts an item there"
    );
    assert_eq!(list.to_vec().unwrap(), [1, 2]);
}
