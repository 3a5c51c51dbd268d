//! A `String` points into the memory of the process that made it.

fn main() -> Result<(), procession::Error> {
    procession::Value::new(String::new())?;
    //~^ E0277 at `String::new()`: `String` cannot lie in shared memory … not plain data … shareable are integers, floats, arrays of these
    Ok(())
}
