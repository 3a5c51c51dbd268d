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

    unsafe fn trust(&self) {}
    //~^ own at `unsafe`: a method of an object cannot be `unsafe`: no caller can keep its promises in another process

    fn same<T>(&self, x: T) -> T { x }
    //~^ own at `<T>`: a method of an object cannot be generic: the server must know the types it reads

    fn name(&self, prefix: &str) -> String {
    //~^ own at `&str`: a method of an object owns its parameters: take `String` for `&str`, `Vec<T>` for `&[T]`
        format!("{prefix}{}", self.0)
    }

    fn show(&self, x: impl Into<u8>) { let _: u8 = x.into(); }
    //~^ own at `impl Into<u8>`: a method of an object cannot take `impl Trait`: the server must know the type it reads; name it

    fn value(&self) -> &u8 { &self.0 }
    //~^ own at `&u8`: a result must be owned: what it would borrow stays in the server; return `String` for `&str`, `Vec<T>` for `&[T]`

    fn values(&self) -> impl Iterator<Item = u8> { 0..self.0 }
    //~^ own at `impl Iterator<Item = u8>`: a method of an object cannot return `impl Trait`: name the type, or collect into one such as `Vec<T>`

    fn run(&self) -> ! { loop {} }
    //~^ own at `!`: a method of an object must return: one that runs without end keeps the object from everybody; return `()`

    #[cfg(all())]
    //~^ own at `#[cfg(all())]`: a method of an object cannot be conditional: put it into an `impl` block without `#[process_object]`
    fn sometimes(&self) {}

    fn part(&self, #[cfg(all())] x: u8) { let _ = x; }
    //~^ own at `#[cfg(all())]`: a parameter of an object's method cannot be conditional: its callers may be other programs; write two methods

    fn serve(&self) {}
    //~^ own at `serve`: a proxy has a `serve` of its own: give this one another name, or put it into an `impl` block without `#[process_object]`
}

struct Generic<T>(T);

#[procession::process_object]
impl<T> Generic<T> {}
//~^ own at `<T>`: an object cannot be generic: write a type with the arguments filled in

#[procession::process_object]
impl Generic<u8> {}
//~^ own at `Generic<u8>`: an object's type is a name of this module: `impl Counter`

#[procession::process_object]
impl Drop for Counter {
//~^ own at `Drop`: the methods of a trait cannot be called by proxies: write an `impl` block of the type's own
    fn drop(&mut self) {}
}

#[procession::process_object]
struct Plain;
//~^ own at `struct Plain;`: `#[process_object]` goes on an `impl` block of a type's own, such as `impl Counter`

#[procession::process_object(name = "counter")]
//~^ own at `name = "counter"`: expected nothing, or `crate = path`
impl Plain {}

fn main() {
    Counter(1).take();
}
