trait Count {
    #[procession::process_job]
    fn count(by: u8) -> u8;
    //~^ own at `;`: a job needs a body: a method of a trait or a foreign function cannot be a job, a free function that calls it can
}

fn main() {}
