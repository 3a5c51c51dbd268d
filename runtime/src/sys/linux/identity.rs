//! stub until the other clone lands
pub(crate) fn identity() -> u64 {
    u64::from(super::process::pid()) << 32
}
pub(crate) fn is_alive(identity: u64) -> bool {
    std::path::Path::new(&format!("/proc/{}", identity >> 32)).exists()
}
