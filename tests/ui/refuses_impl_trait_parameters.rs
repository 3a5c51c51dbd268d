#[procession::process_job]
fn job(x: impl Copy) -> u8 {
//~^ own at `impl Copy`: a job cannot take `impl Trait`: name the type, as in `fn name<T: Trait>(x: T)`
    let _ = x;
    1
}

fn main() {}
