#[procession::process_job]
fn job() -> ! {
//~^ own at `!`: a job must return: a worker that runs a function without end never takes another item; return `()`
    std::process::exit(1)
}

fn main() {}
