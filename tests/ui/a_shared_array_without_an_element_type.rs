//! Python's `Array` without a type code fails when it is made; this one when it is compiled.

fn main() -> Result<(), procession::Error> {
    let array = procession::Array::zeroed(4)?;
    //~^ E0283 at `array`: type annotations needed for `procession::Array<_>` … consider giving `array` an explicit type
    println!("{}", array.len());
    Ok(())
}
