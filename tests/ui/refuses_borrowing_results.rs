#[procession::process_job]
fn job(text: &str) -> &str {
//~^ own at `&str`: a result must be owned: what it would borrow stays in the worker; return `String` for `&str`, `Vec<T>` for `&[T]`
    text
}

#[procession::process_job]
fn inside<'a>(text: &'a str) -> Option<std::borrow::Cow<'a, str>> {
//~^ own at `'a`: a result must be owned: what it would borrow stays in the worker; return `String` for `&str`, `Vec<T>` for `&[T]`
    Some(text.into())
}

fn main() {}
