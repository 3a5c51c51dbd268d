struct Opaque;

#[procession::process_job]
fn job(x: u8, opaque: Opaque) -> u8 {
//~^ E0277 at `Opaque`: `Opaque` cannot travel to a worker process
    let Opaque = opaque;
    x
}

fn main() {}

#[procession::process_job]
fn nested(many: Vec<Opaque>, pairs: &[(u8, Opaque)]) -> usize {
//~^ E0277 at `[(u8, Opaque)]`: `[(u8, Opaque)]` cannot travel to a worker process
//~^^ E0277 at `Vec<Opaque>`: `Vec<Opaque>` cannot travel to a worker process
    many.len() + pairs.len()
}
