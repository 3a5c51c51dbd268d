#[process_job(timeout = "1.5s", retries = 2, name = "a hash", crate = deps::procession, type = HashJob)]
fn hash(bytes: Vec<u8>) -> u64 {
    bytes.len() as u64
}
