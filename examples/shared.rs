//! Values and arrays that processes share: one changes them, the other reads what it did.
//!
//! Stands for section 1.6 of the tutorial, which makes them and leaves them there:
//!
//! ```python
//! import multiprocessing as mp
//! value1 = mp.Value('i', 0)
//! value2 = mp.Value('d', 3.14)
//! array = mp.Array('i', [1, 2, 3, 4])
//! ```
//!
//! There a letter names the type (`'i'` is `i32`, `'d'` is `f64`), and to leave it out is an error when the line runs. Here
//! the type follows from the values, as it does in a `Vec`, and where it follows from nothing the program does not compile:
//! `Array::zeroed(4)?` alone is error E0283, "type annotations needed", and `Array::<i32>::zeroed(4)?` is right.
//!
//! There an `Array` has one dimension only. Here its elements may be arrays themselves (`Array<[f64; 3]>`), and where the
//! length of a row is known only when the program runs, rows lie one behind the other, as below. Run it with
//! `cargo run --release -p procession-examples --bin shared`.

use std::error::Error;

use procession::{Array, Value, process_job, spawn};

#[process_job]
fn change(value1: &Value<i32>, value2: &Value<f64>, array: &Array<i32>) {
    value1.set(10);
    value2.update(|value| *value *= 2.0);
    for i in 0..array.len() {
        array.set(i, -array.get(i).expect("it is below the length"));
    }
}

/// The table of products, in rows of `n_columns`.
#[process_job]
fn multiply(table: &Array<u32>, n_columns: usize) {
    let mut elements = table.lock().expect("nobody has died with it");
    for (row, products) in (1..).zip(elements.chunks_exact_mut(n_columns)) {
        for (column, product) in (1..).zip(products) {
            *product = row * column;
        }
    }
}

#[expect(clippy::approx_constant, reason = "the tutorial's number, not pi")]
fn main() -> Result<(), Box<dyn Error>> {
    let value1 = Value::new(0)?;
    let value2 = Value::new(3.14)?;
    let array = Array::new([1, 2, 3, 4])?;
    spawn!(change(&value1, &value2, &array))?.join()?;
    println!("{}", value1.get());
    println!("{}", value2.get());
    println!("{:?}", array.to_vec());

    let n_columns = 5;
    let table = Array::zeroed(3 * n_columns)?;
    spawn!(multiply(&table, n_columns))?.join()?;
    for row in table.lock()?.chunks_exact(n_columns) {
        println!("{row:?}");
    }
    Ok(())
}
