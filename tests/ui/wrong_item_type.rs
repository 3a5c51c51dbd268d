use procession::{Pool, pool_map, process_job};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

fn main() {
    let pool = Pool::new(2).unwrap();
    let _ = pool_map!(square, ["a", "b"]);
    //~^ E0271 at `["a", "b"]`: type mismatch resolving … expected `u64`, found `&str`
    let _ = pool_map!(in pool, square, ["a", "b"], retries = 1);
    //~^ E0271 at `["a", "b"]`: type mismatch resolving … expected `u64`, found `&str`
    let _ = pool_map!(square, 5);
    //~^ E0277 at `5`: `{integer}` is not an iterator
}
