//! Measures `procession` and its peers, alternating in one run. README.md beside this folder tells how to read it.

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod command_line;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod jobs;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod works;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    command_line::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("processes are on Linux only, and so is what there is to measure");
}
