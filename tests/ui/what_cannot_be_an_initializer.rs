use procession::{Pool, job, process_job};

#[process_job(state)]
fn borrows(list: &mut Vec<u8>) -> usize {
    list.len()
}

struct Opaque;

#[process_job(initializer)]
fn opens() -> Opaque {
    Opaque
}

#[process_job(initializer)]
fn fails() -> Result<u8, Opaque> {
//~^ E0277 at `Result<u8, Opaque>`: `Opaque` doesn't implement
    Err(Opaque)
}

fn main() {
    let _ = Pool::builder().initializer(job!(borrows), ());
    //~^ E0271 at `job!(borrows)`: type mismatch … State == ()
    let _ = Pool::new(1).unwrap().map(job!(opens), [()]);
    //~^ E0277 at `job!(opens)`: `opens` is not a job
}
