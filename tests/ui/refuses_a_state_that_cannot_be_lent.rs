#[procession::process_job(state)]
//~^ own at `state`: a job with `state` borrows it by its first parameter: write `state: &mut Type`, where `Type` is what the pool's initializer returns
fn nothing_to_borrow() {}

#[procession::process_job(state)]
fn by_value(list: Vec<u8>, x: &mut u8) -> usize {
//~^ own at `Vec<u8>`: a job with `state` borrows it by its first parameter: write `state: &mut Type`, where `Type` is what the pool's initializer returns
//~^^ own at `&mut u8`: a job cannot take `&mut`: the worker has a copy, and changes to it never come back; take the value and return the changed one; what a worker keeps between jobs is borrowed under `#[process_job(state)]`
    list.len()
}

#[procession::process_job(state)]
fn by_shared_reference(list: &Vec<u8>) -> usize {
//~^ own at `&Vec<u8>`: a job with `state` borrows it by its first parameter: write `state: &mut Type`, where `Type` is what the pool's initializer returns
    list.len()
}

#[procession::process_job(state)]
fn of_no_known_type(display: &mut dyn std::fmt::Display) -> String {
//~^ own at `dyn std::fmt::Display`: the state is of the very type that the initializer returns: name that type, such as `Box<dyn Trait>` or `Vec<T>`
    display.to_string()
}

#[procession::process_job(state)]
fn borrows_in_turn(list: &mut Vec<&str>) -> usize {
//~^ own at `&str`: a state must be owned: the worker keeps it from one job to the next; own what is inside it
    list.len()
}

#[procession::process_job(state = Vec<u8>)]
//~^ own at `state`: `state` stands alone, without a value
fn with_a_value(list: &mut Vec<u8>) -> usize {
//~^ own at `&mut Vec<u8>`: a job cannot take `&mut`: the worker has a copy, and changes to it never come back; take the value and return the changed one; what a worker keeps between jobs is borrowed under `#[process_job(state)]`
    list.len()
}

fn main() {}
