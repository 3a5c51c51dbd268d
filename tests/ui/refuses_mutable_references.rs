#[procession::process_job]
fn job(x: &mut Vec<u8>) {
//~^ own at `&mut Vec<u8>`: a job cannot take `&mut`: the worker has a copy, and changes to it never come back; take the value and return the changed one; what a worker keeps between jobs is borrowed under `#[process_job(state)]`
    x.push(1);
}

fn main() {}
