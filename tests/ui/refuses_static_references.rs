#[procession::process_job]
fn job(x: &'static str) -> usize {
//~^ own at `'static`: a job cannot take `&'static`: the worker lends each argument for one call only; leave the lifetime out
    x.len()
}

fn main() {}
