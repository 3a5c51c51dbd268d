//! A crate that knows nothing of processes, and has a constructor.

use std::sync::Mutex;

/// What the constructor saw, once for each time it ran.
pub static SEEN: Mutex<String> = Mutex::new(String::new());

#[ctor::ctor]
fn before_main() {
    let is_marker =
        |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("PROCESSION_SUPERVISOR");
    let marked = std::env::vars_os().any(|(name, _)| is_marker(&name));
    *SEEN.lock().unwrap() += if marked {
        "ran, with marker"
    } else {
        "ran, no marker"
    };
}
