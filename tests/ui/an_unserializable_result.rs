struct Opaque;

#[procession::process_job]
fn job() -> Option<Opaque> {
//~^ E0277 at `Option<Opaque>`: `Option<Opaque>` cannot travel to a worker process
    None
}

fn main() {}

#[procession::process_job]
fn direct() -> Opaque {
//~^ E0277 at `Opaque`: `Opaque` cannot travel to a worker process
    Opaque
}
