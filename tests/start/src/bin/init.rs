//! For a build without the hook: calls `init` first in `main`, or never, or after a thread was started.

fn main() {
    let what = std::env::args().nth(1);
    if what.as_deref() == Some("late") {
        std::thread::spawn(|| {
            loop {
                std::thread::park()
            }
        });
    }
    if what.as_deref() != Some("never") {
        procession::init();
    }
    println!("main begins");
    match start_programs::supervisor_pid() {
        Ok(_) => println!("ok"),
        Err(error) => println!("{error}"),
    }
}
