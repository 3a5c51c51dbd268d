use procession::{pool_map, process_job, spawn};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

fn main() {
    let _ = pool_map!(square, 0..3, timeout = 2);
    //~^ E0308 at `2`: expected `Duration`, found integer
    let _ = pool_map!(in 3, square, 0..3);
    //~^ E0308 at `3`: expected `&Pool`, found `&{integer}`
    let _ = spawn!(in "pool", square(3));
    //~^ E0308 at `"pool"`: expected `&Pool`, found `&&str`
}
