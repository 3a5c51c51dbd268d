#[procession::process_job]
unsafe fn job(x: u8) -> u8 {
//~^ own at `unsafe`: a job cannot be `unsafe`: no caller can keep its promises in another process; write a safe `fn` with the unsafe call inside
    x
}

fn main() {}
