//! A `String` points into the memory of the process that made it.

fn main() -> Result<(), procession::Error> {
    procession::Value::new(String::new())?;
    //~^ E0277 at `procession::Value`: `String` cannot lie in shared memory … not plain data … shareable are integers, floats, arrays of these
    //~^^ E0277 at `procession::Value::new(String::new())`: `String` cannot lie in shared memory
    //~^^^ E0277 at `procession::Value::new(String::new())?`: `String` cannot lie in shared memory
    Ok(())
}
