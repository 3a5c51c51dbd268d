use procession::{pool_map, process_job, spawn};

#[process_job]
fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

#[process_job]
fn repeat(text: &str, n: usize) -> String {
    text.repeat(n)
}

fn main() {
    let _ = spawn!(sum(1.5));
    //~^ E0277 at `(1.5)`: `{float}` cannot lend a `&[f64]` to a job
    let _ = spawn!(repeat(1.5, 2));
    //~^ E0277 at `(1.5, 2)`: `{float}` cannot lend a `&str` to a job
    let _ = pool_map!(repeat, [(1.5, 2)]);
    //~^ E0277 at `[(1.5, 2)]`: `{float}` cannot lend a `&str` to a job
}
