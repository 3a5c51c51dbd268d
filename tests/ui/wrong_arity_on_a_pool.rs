use procession::{Pool, process_job, spawn};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

fn main() {
    let pool = Pool::new(2).unwrap();
    let _ = spawn!(in pool, square(1, 2));
    //~^ E0308 at `(1, 2)`: expected `u64`, found `({integer}, {integer})`
}
