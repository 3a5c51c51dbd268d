use procession::{job, pool_map, spawn};

fn main() {
    let _ = pool_map!(3 + 4, 0..3);
    //~^ own at `3 + 4`: expected the path of a function annotated with `#[process_job]`, such as `square`, `jobs::square` or `sort::<u64>`
    let _ = spawn!("text".len());
    //~^ own at `"text".len()`: expected the path of a function annotated with `#[process_job]`, such as `square`, `jobs::square` or `sort::<u64>`
    let _ = job!();
    //~^ own at `job!()`: expected the path of a function annotated with `#[process_job]`, such as `square`, `jobs::square` or `sort::<u64>`
}
