// The attribute sees no more than the function: that it stands in an `impl` is the compiler's to find.
struct Counter;

impl Counter {
    #[procession::process_job]
    //~^ rustc at `#[procession::process_job]`: struct is not supported in `trait`s or `impl`s
    //~^^ rustc at `#[procession::process_job]`: `const` items in this context need a name
    fn count(by: u8) -> u8 {
    //~^ E0425 at `count`: cannot find type `count` in this scope
    //~^^ E0425 at `count`: cannot find function `count` in this scope
        by
    }
}

fn main() {
    Counter::count(1);
}
