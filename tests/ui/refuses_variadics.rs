#[procession::process_job]
extern "C" fn job(x: u8, ...) -> u8 {
//~^ own at `...`: a job cannot be variadic: take a slice, such as `values: &[i32]`
//~^^ rustc at `...`: functions with a C variable argument list must be unsafe
//~^^^ E0658 at `extern "C" fn job(x: u8, ...) -> u8 {`: C-variadic functions are unstable
    x
}

fn main() {}
