#[procession::process_job]
fn job(n: u8) -> impl Iterator<Item = u8> {
//~^ own at `impl Iterator<Item = u8>`: a job cannot return `impl Trait`: name the type, or collect into one such as `Vec<T>`
    0..n
}

fn main() {}
