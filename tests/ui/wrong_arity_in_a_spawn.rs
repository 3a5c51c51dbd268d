// The tutorial's own mistake: a function of one parameter given two.
use procession::{process_job, spawn};

#[process_job]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn nothing() {}

fn main() {
    let _ = spawn!(square(1, 2));
    //~^ E0308 at `(1, 2)`: expected `u64`, found `({integer}, {integer})`
    let _ = spawn!(square());
    //~^ E0308 at `()`: expected `u64`, found `()`
    let _ = spawn!(add(1));
    //~^ E0308 at `1`: expected `(u64, u64)`, found integer
    let _ = spawn!(add(1, 2, 3));
    //~^ E0308 at `(1, 2, 3)`: expected a tuple with 2 elements, found one with 3 elements
    let _ = spawn!(nothing(1));
    //~^ E0308 at `1`: expected `()`, found integer
}
