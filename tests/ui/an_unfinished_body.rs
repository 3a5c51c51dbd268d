// The body is not the attribute's: its mistakes are reported as in any function.
#[procession::process_job]
fn job(x: u64) -> u64 {
    x + "1"
    //~^ E0277 at `+`: cannot add `&str` to `u64`
}

fn main() {}
