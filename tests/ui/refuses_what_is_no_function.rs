#[procession::process_job]
struct Struct {
//~^ own at `struct Struct`: `#[process_job]` goes on a function: `fn name(x: u64) -> u64 { … }`
    _x: u8,
}

#[procession::process_job]
impl Struct {
//~^ own at `impl Struct`: `#[process_job]` goes on a function: `fn name(x: u64) -> u64 { … }`
    fn new() -> Self {
        Self { _x: 1 }
    }
}

#[procession::process_job]
pub(crate) mod module {}
//~^ own at `mod module`: `#[process_job]` goes on a function: `fn name(x: u64) -> u64 { … }`

#[procession::process_job]
pub trait Trait {}
//~^ own at `trait Trait`: `#[process_job]` goes on a function: `fn name(x: u64) -> u64 { … }`

#[procession::process_job]
const CONSTANT: u8 = 1;
//~^ own at `const CONSTANT: u8 = 1;`: `#[process_job]` goes on a function: `fn name(x: u64) -> u64 { … }`

fn main() {
    // What was refused is still there: no second wave of errors.
    Struct::new();
    let _ = CONSTANT;
}
