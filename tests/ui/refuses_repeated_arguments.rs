#[procession::process_job(retries = 1, name = "a", retries = 2)]
//~^ own at `retries`: `retries` is given twice: keep one
fn job() {}

fn main() {}
