#[procession::process_job]
fn outlives<'a, 'b: 'a>(x: &'a str, y: &'b str) -> usize {
//~^ own at `'b: 'a`: a job cannot bound its own lifetimes: the worker lends each argument for one call only; leave the bound out, or take the value by ownership
    x.len() + y.len()
}

trait Borrows<'a> {}

#[procession::process_job]
fn implements<'a, T: Borrows<'a>>(x: &'a T) {
//~^ own at `T: Borrows<'a>`: a job cannot bound its own lifetimes: the worker lends each argument for one call only; leave the bound out, or take the value by ownership
    let _ = x;
}

#[procession::process_job]
fn clause<'a, T>(x: &'a T)
where
    &'a T: Copy,
    //~^ own at `&'a T: Copy`: a job cannot bound its own lifetimes: the worker lends each argument for one call only; leave the bound out, or take the value by ownership
{
    let _ = x;
}

fn main() {}
