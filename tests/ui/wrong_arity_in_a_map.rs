use procession::{pool_map, process_job};

#[process_job]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

fn main() {
    let _ = pool_map!(add, [(1, 2, 3)]);
    //~^ E0271 at `[(1, 2, 3)]`: type mismatch resolving … expected a tuple with 2 elements, found one with 3 elements
    let _ = pool_map!(square, [(1, 2)]);
    //~^ E0271 at `[(1, 2)]`: type mismatch resolving … expected `u64`, found `({integer}, {integer})`
    let _ = pool_map!(add, 0..10);
    //~^ E0271 at `0..10`: type mismatch resolving … expected `(u64, u64)`, found integer
}
