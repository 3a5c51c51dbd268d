#[process_job]
pub fn nothing() {}
