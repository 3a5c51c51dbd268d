//! A constructor starts a thread: the copy must not become a supervisor.

#[ctor::ctor]
fn before_main() {
    std::thread::spawn(|| {
        loop {
            std::thread::park()
        }
    });
}

fn main() {
    println!(
        "main begins\n{}",
        start_programs::supervisor_pid().unwrap_err()
    );
}
