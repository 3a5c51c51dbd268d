use procession::{process_job, spawn};

#[process_job]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[process_job]
fn repeat(text: &str, n: usize) -> String {
    text.repeat(n)
}

fn main() {
    let _ = spawn!(add(1, "2"));
    //~^ E0308 at `"2"`: expected `u64`, found `&str`
    let _ = spawn!(add("1", 2));
    //~^ E0308 at `"1"`: expected `u64`, found `&str`
    let _ = spawn!(repeat("a", "b"));
    //~^ E0308 at `"b"`: expected `usize`, found `&str`
}
