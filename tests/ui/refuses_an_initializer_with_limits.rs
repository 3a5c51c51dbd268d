#[procession::process_job(initializer, timeout = "2s")]
//~^ own at `initializer`: an initializer has no time limit, and workers whose initializer fails are replaced in any case: leave out `timeout` and `retries`
fn limited() {}

#[procession::process_job(initializer, state)]
//~^ own at `state`: an initializer makes the state, so it cannot borrow it: leave out `state` or `initializer`
fn borrows_what_it_makes(list: &mut Vec<u8>) -> Vec<u8> {
//~^ own at `&mut Vec<u8>`: a job cannot take `&mut`: the worker has a copy, and changes to it never come back; take the value and return the changed one; what a worker keeps between jobs is borrowed under `#[process_job(state)]`
    list.clone()
}

fn main() {}
