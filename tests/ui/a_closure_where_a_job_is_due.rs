use procession::{job, pool_map, spawn};

fn main() {
    let _ = pool_map!(|x: u64| x * x, 0..3);
    //~^ own at `|x: u64| x * x`: a closure cannot be a job: what it captures stays in this process; write a function under `#[process_job]` and pass what it needs as arguments, or give the closure to `fork_map`
    let _ = spawn!((|x: u64| x * x)(3));
    //~^ own at `|x: u64| x * x`: a closure cannot be a job: what it captures stays in this process; write a function under `#[process_job]` and pass what it needs as arguments, or give the closure to `fork_map`
    let _ = job!(move || 3);
    //~^ own at `move || 3`: a closure cannot be a job: what it captures stays in this process; write a function under `#[process_job]` and pass what it needs as arguments, or give the closure to `fork_map`
}
