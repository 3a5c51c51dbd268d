//! A constructor starts threads and joins them: all is well.

#[ctor::ctor]
fn before_main() {
    for _ in 0..50 {
        std::thread::spawn(|| ()).join().unwrap();
    }
}

fn main() {
    println!("main begins\n{}", start_programs::supervisor_pid().is_ok());
}
