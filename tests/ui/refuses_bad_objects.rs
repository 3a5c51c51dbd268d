#[derive(Clone)]
struct Counter(u8);

#[procession::process_object]
impl Counter {
    fn take(self) -> u8 {
    //~^ own at `self`: a method of an object cannot take `self` away from its server: write `&self` or `&mut self`
        self.0
    }

    async fn wait(&self) {}
    //~^ own at `async`: a method of an object cannot be `async`: nothing polls it in the server; write a plain `fn`

    fn name(&self, prefix: &str) -> String {
    //~^ own at `&str`: a method of an object owns its parameters: take `String` for `&str`, `Vec<T>` for `&[T]`
        format!("{prefix}{}", self.0)
    }
}

fn main() {
    Counter(1).take();
}
