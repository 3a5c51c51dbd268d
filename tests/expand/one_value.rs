#[process_job]
fn square(x: u64) -> u64 {
    x * x
}
