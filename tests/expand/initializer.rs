#[process_job(initializer)]
fn fill(n: u64) -> Table<u64> {
    Table::of(0..n)
}

#[process_job(initializer)]
fn open(path: &str) -> io::Result<Database> {
    Database::open(path)
}
