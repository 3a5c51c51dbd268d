#[procession::process_job]
async fn job(x: u8) -> u8 {
//~^ own at `async`: a job cannot be `async`: nothing polls it in the worker; write a plain `fn` that runs the future on a runtime of its own
    x
}

fn main() {}
