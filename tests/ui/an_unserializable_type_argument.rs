#[derive(Clone)]
struct Opaque;

#[procession::process_job]
fn job<T: Clone>(x: T) {
    drop(x);
}

fn main() {
    let _ = procession::spawn!(job(Opaque));
    //~^ E0277 at `(Opaque)`: `Opaque` cannot travel to a worker process … required for `job<Opaque>` to implement
}
