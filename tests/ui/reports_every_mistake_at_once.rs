#[procession::process_job(retry = 1)]
//~^ own at `retry`: unknown argument `retry`: expected `timeout = "2s"`, `retries = 1`, `name = "…"`, `crate = path`, `type = Name`, `state` or `initializer`
async fn job(x: &mut u8, y: impl Copy) -> &str {
//~^ own at `async`: a job cannot be `async`: nothing polls it in the worker; write a plain `fn` that runs the future on a runtime of its own
//~^^ own at `&mut u8`: a job cannot take `&mut`: the worker has a copy, and changes to it never come back; take the value and return the changed one; what a worker keeps between jobs is borrowed under `#[process_job(state)]`
//~^^^ own at `impl Copy`: a job cannot take `impl Trait`: name the type, as in `fn name<T: Trait>(x: T)`
//~^^^^ own at `&str`: a result must be owned: what it would borrow stays in the worker; return `String` for `&str`, `Vec<T>` for `&[T]`
    let _ = y;
    ""
}

fn main() {}
