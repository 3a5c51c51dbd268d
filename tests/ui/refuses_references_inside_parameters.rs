#[procession::process_job]
fn job(words: &[&str], name: Option<&str>) -> usize {
//~^ own at `&str`: only a whole parameter can be borrowed, as `&T`, `&str`, `&[T]` or `&Path`: own what is inside it, such as `&[String]` for `&[&str]`
//~^^ own at `&str`: only a whole parameter can be borrowed, as `&T`, `&str`, `&[T]` or `&Path`: own what is inside it, such as `&[String]` for `&[&str]`
    words.len() + name.map_or(0, str::len)
}

fn main() {}
