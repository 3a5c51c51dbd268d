#[process_job(state)]
fn look_up<T: Clone + 'static>(table: &mut Table<T>, key: &str, or: T) -> T {
    table.get(key).cloned().unwrap_or(or)
}
