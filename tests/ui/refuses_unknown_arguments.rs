#[procession::process_job(timeouts = "2s", 3)]
//~^ own at `timeouts`: unknown argument `timeouts`: expected `timeout = "2s"`, `retries = 1`, `name = "…"`, `crate = path` or `type = Name`
//~^^ own at `3`: expected `timeout = "2s"`, `retries = 1`, `name = "…"`, `crate = path` or `type = Name`
fn job() {}

fn main() {}
