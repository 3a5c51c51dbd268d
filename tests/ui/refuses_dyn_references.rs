#[procession::process_job]
fn job(x: &dyn std::fmt::Debug) -> String {
//~^ own at `dyn std::fmt::Debug`: a job cannot take `&dyn Trait`: the worker must know the type it reads; take `&T` with `T: Trait`, or an enum
    format!("{x:?}")
}

fn main() {}
