#[procession::process_job(timeout = "2 seconds")]
//~^ own at `"2 seconds"`: `2 seconds` is not a duration: write a number and a unit, such as "250ms", "2s", "1.5s", "1m", "1h" or "10us"
fn unit() {}

#[procession::process_job(timeout = 2)]
//~^ own at `2`: a timeout is a string: "250ms", "2s", "1.5s", "1m", "1h" or "10us"
fn bare_number() {}

#[procession::process_job(timeout = "0s")]
//~^ own at `"0s"`: `0s` would end every job before it begins: write a longer duration, such as "250ms", "2s", "1.5s", "1m", "1h" or "10us"
fn zero() {}

#[procession::process_job(retries = -1)]
//~^ own at `-`: retries are a whole number from 0 to 4294967295, such as `retries = 1`
fn negative() {}

#[procession::process_job(name = "", crate = "procession", type = a::B)]
//~^ own at `""`: a name is a string that is not empty, such as `name = "resize"`
//~^^ own at `"procession"`: `crate` is the path of the `procession` crate, such as `crate = my_reexports::procession`
//~^^^ own at `a::B`: `type` is a name for the job's type, such as `type = HashJob`
fn others() {}

#[procession::process_job(timeout)]
//~^ own at `timeout`: `timeout` needs a value: expected `timeout = "2s"`, `retries = 1`, `name = "…"`, `crate = path`, `type = Name`, `state` or `initializer`
fn nothing() {}

fn main() {}
