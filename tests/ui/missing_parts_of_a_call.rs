use procession::{Pool, pool_map, process_job, spawn};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

fn main() {
    let pool = Pool::new(2).unwrap();
    let _ = pool_map!();
    //~^ own at `pool_map!()`: expected `pool_map!(job, items)` or `pool_map!(in pool, job, items, chunk_size = n, timeout = d, deadline = d, retries = n)`
    let _ = pool_map!(square);
    //~^ own at `pool_map!(square)`: the items are missing: expected `pool_map!(job, items)` or `pool_map!(in pool, job, items, chunk_size = n, timeout = d, deadline = d, retries = n)`
    let _ = pool_map!(in pool, square,);
    //~^ own at `pool_map!(in pool, square,)`: the items are missing: expected `pool_map!(job, items)` or `pool_map!(in pool, job, items, chunk_size = n, timeout = d, deadline = d, retries = n)`
    let _ = spawn!();
    //~^ own at `spawn!()`: expected `spawn!(job(a, b))` or `spawn!(in pool, job(a, b))`
    let _ = spawn!(square);
    //~^ own at `square`: the job's arguments are missing: expected `spawn!(job(a, b))` or `spawn!(in pool, job(a, b))`
}
