//! A constructor ends every process but the first.

use std::process::{Command, Stdio, abort, exit};

#[ctor::ctor]
fn before_main() {
    match std::env::var("FIRST").as_deref() {
        Ok("abort") => abort(),
        Ok("exit") => exit(0),
        Ok(_) => {
            // It holds what it inherits for long.
            let mut sleep = Command::new("sleep");
            sleep.arg("30").stdout(Stdio::null()).stderr(Stdio::null());
            sleep.spawn().unwrap();
            abort()
        }
        Err(_) => {}
    }
}

fn main() {
    println!("main begins");
    for how in ["abort", "exit", "child"] {
        unsafe { std::env::set_var("FIRST", how) };
        println!("{}", start_programs::supervisor_pid().unwrap_err());
    }
}
