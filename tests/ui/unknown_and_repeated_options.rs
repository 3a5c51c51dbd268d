use procession::{pool_map, process_job};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

fn main() {
    // One error each, none of them about the `?`.
    let _ = (|| -> Result<(), procession::Error> {
        pool_map!(square, 0..3, chunks = 4)?;
        //~^ own at `chunks`: unknown option `chunks`: expected `chunk_size = n`, `timeout = duration`, `deadline = duration` or `retries = n`
        pool_map!(square, 0..3, retries = 1, chunk_size = 2, retries = 1)?;
        //~^ own at `retries`: `retries` is given twice: keep one
        pool_map!(square, 0..3, 4..6)?;
        //~^ own at `4..6`: expected `chunk_size = n`, `timeout = duration`, `deadline = duration` or `retries = n` here; a pool of yours comes first, `pool_map!(in pool, job, items)`; a job of several parameters maps over tuples, `pool_map!(job, [(1, 2), (3, 4)])`
        Ok(())
    })();
}
