// `#[process_job(type = HashJob)]` is the way out.
mod hash {
    #[procession::process_job]
    pub fn hash(x: u8) -> u8 {
        x
    }
}

pub use hash::hash;
//~^ E0255 at `hash::hash`: the name `hash` is defined multiple times

fn main() {}
