#[procession::process_job(timeouts = "2s", 3)]
//~^ own at `timeouts`: unknown argument `timeouts`: expected `timeout = "2s"`, `retries = 1`, `name = "…"`, `crate = path`, `type = Name`, `state` or `initializer`
//~^^ own at `3`: expected `timeout = "2s"`, `retries = 1`, `name = "…"`, `crate = path`, `type = Name`, `state` or `initializer`
fn job() {}

fn main() {}
