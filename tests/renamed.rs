//! A program that knows `procession` by another name. Run by `ui.rs`.

mod reexported {
    pub use multiprocess as procession;
    pub use multiprocess::spawn;
}

#[multiprocess::process_job(crate = multiprocess)]
fn square(x: u64) -> u64 {
    x * x
}

#[multiprocess::process_job(crate = crate::reexported::procession)]
fn length(text: &str) -> usize {
    text.len()
}

fn main() -> Result<(), multiprocess::Error> {
    assert_eq!(multiprocess::pool_map!(square, 0..3)?, [0, 1, 4]);
    reexported::spawn!(length("abc"))?;
    let pool = multiprocess::Pool::new(1)?;
    assert_eq!(pool.map(multiprocess::job!(length), ["abc"])?, [3]);
    Ok(())
}
