//! Constructors on both sides of the hook, whatever the linker's order.

extern crate late;
extern crate procession;

#[procession::process_job]
fn seen() -> String {
    late::SEEN.lock().unwrap().clone()
}

fn main() {
    println!("main begins");
    println!(
        "job: {}",
        procession::spawn!(seen()).unwrap().join().unwrap()
    );
}
