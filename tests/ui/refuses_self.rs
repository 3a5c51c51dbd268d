struct Counter(u8);

impl Counter {
    #[procession::process_job]
    fn count(&self, by: u8) -> u8 {
    //~^ own at `&self`: a job cannot take `self`: write a free function with an ordinary parameter, such as `this: &Type`
        self.0 + by
    }
}

fn main() {
    Counter(1).count(2);
}
