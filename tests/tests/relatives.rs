//! Who a process is, whom it works for and who works for it: places, names, parents, children.

#![cfg(target_os = "linux")]

use procession::{
    Pool, ProcessInfo, active_children, current_process, job, parent_process, process_job, spawn,
    worker_index,
};
use procession_tests::processes::{Signal, name_of, send};
use procession_tests::{begin, wait_for};

#[process_job]
fn place_and_pid() -> (Option<usize>, u32) {
    (worker_index(), std::process::id())
}

#[test]
fn a_replacement_takes_the_place_of_the_worker_before() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(3)
        .max_jobs_per_worker(5)
        .build()
        .unwrap();
    let places = pool.map(job!(place_and_pid), [(); 120]).unwrap();
    let mut of_process = std::collections::BTreeMap::new();
    for (place, pid) in places {
        let place = place.expect("a worker has a place");
        assert!(place < 3);
        assert_eq!(*of_process.entry(pid).or_insert(place), place);
    }
    assert!(of_process.len() >= 24, "{of_process:?}");
    for (place, worker) in pool.stats().workers.iter().enumerate() {
        let known = of_process.get(&worker.pid);
        assert!(known.is_none_or(|known| *known == place), "{of_process:?}");
    }
    assert_eq!(worker_index(), None);
    assert_eq!(spawn!(place_and_pid()).unwrap().join().unwrap().0, None);
}

type Names = (String, u32, Option<(String, u32)>, String);

#[process_job]
fn names() -> Names {
    let (this, parent) = (current_process(), parent_process());
    let parent = parent.map(|parent| (parent.name, parent.pid));
    (this.name, this.pid, parent, name_of(std::process::id()))
}

#[process_job]
fn names_from_within() -> (Names, Names) {
    let pool = Pool::builder().workers(1).name("inner").build().unwrap();
    (names(), pool.map(job!(names), [()]).unwrap().remove(0))
}

#[test]
fn processes_know_their_names_and_whom_they_work_for() {
    let _test = begin();
    assert_eq!(current_process().name, "main");
    assert_eq!(current_process().pid, std::process::id());
    assert_eq!(parent_process(), None);
    let name = "resize the images";
    let pool = Pool::builder().workers(1).name(name).build().unwrap();
    let program = ("main".to_owned(), std::process::id());
    let (outer, inner) = pool
        .submit(job!(names_from_within), ())
        .unwrap()
        .join()
        .unwrap();
    let (outer_name, outer_pid, outer_parent, outer_ps) = outer;
    assert_eq!(outer_name, "resize the images-0");
    assert_eq!(outer_ps, "resize the im-0");
    assert_eq!(outer_parent, Some(program.clone()));
    let (inner_name, _, inner_parent, inner_ps) = inner;
    assert_eq!((&*inner_name, &*inner_ps), ("inner-0", "inner-0"));
    assert_eq!(inner_parent, Some((outer_name, outer_pid)));
    let (own, pid, parent, ps) = spawn!(names()).unwrap().join().unwrap();
    assert_eq!((&*own, parent, &*ps), ("names-0", Some(program), "names-0"));
    assert_ne!(pid, std::process::id());
}

#[process_job]
fn waits_for_ever() {
    loop {
        std::thread::park();
    }
}

fn pids_of(children: &[ProcessInfo]) -> Vec<u32> {
    children.iter().map(|child| child.pid).collect()
}

#[test]
fn active_children_are_those_that_live() {
    let _test = begin();
    assert_eq!(active_children(), []);
    let pool = Pool::new(2).unwrap();
    let child = spawn!(waits_for_ever()).unwrap();
    let children = active_children();
    let names: Vec<&str> = children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["worker-0", "worker-1", "waits_for_ever-0"]);
    assert_eq!(
        pids_of(&children),
        [&pool.pids()[..], &[child.pid()]].concat()
    );

    let detached_pid = child.pid();
    child.detach();
    assert_eq!(pids_of(&active_children())[2..], [detached_pid]);
    send(detached_pid, Signal::SIGKILL);
    wait_for("the end of the detached one", || {
        active_children().len() == 2
    });

    let killed = pool.pids()[1];
    send(killed, Signal::SIGKILL);
    wait_for("its replacement", || {
        let pids = pids_of(&active_children());
        pids.len() == 2 && !pids.contains(&killed)
    });
    drop(pool);
    assert_eq!(active_children(), []);
}
