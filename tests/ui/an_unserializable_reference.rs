struct Opaque;

#[procession::process_job]
fn job(opaque: &Opaque, many: &[Opaque]) -> usize {
//~^ E0277 at `[Opaque]`: `[Opaque]` cannot travel to a worker process
//~^^ E0277 at `Opaque`: `Opaque` cannot travel to a worker process
    let Opaque = opaque;
    many.len()
}

fn main() {}
