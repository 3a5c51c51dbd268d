//! What the programs share.

use procession::{process_job, spawn};

/// What plug-ins of other crates register.
pub struct PlugIn(pub &'static str);
inventory::collect!(PlugIn);

/// A job: its supervisor.
#[process_job]
pub fn parent_pid() -> u32 {
    std::os::unix::process::parent_id()
}

/// `Ok` with the supervisor's number, or why there is none.
pub fn supervisor_pid() -> Result<u32, procession::Error> {
    Ok(spawn!(parent_pid())?.join()?)
}
