#[process_object]
impl Counter {
    /// A counter that begins there.
    pub fn new(value: u64) -> Self {
        Self { value }
    }

    /// Adds, and gives the sum.
    pub fn add(&mut self, n: u64, (times, _): (u64, u8)) -> u64 {
        self.value += n * times;
        self.value
    }

    fn reset(&mut self) {
        self.value = 0;
    }

    fn is_no_method_of_the_proxy(limit: u64) -> bool {
        limit == 0
    }
}
