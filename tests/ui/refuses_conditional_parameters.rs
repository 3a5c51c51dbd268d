#[procession::process_job]
fn job(x: u8, #[cfg(any())] y: u8) -> u8 {
//~^ own at `#[cfg(any())]`: a parameter of a job cannot be conditional: write two functions and put `#[cfg(…)]` on each
    x
}

fn main() {
    job(1);
}
