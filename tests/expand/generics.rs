#[process_job]
fn sort<'a, T: Ord + Clone, const N: usize>(values: &'a [T; N], first: T) -> Vec<T>
where
    T: Serialize + DeserializeOwned,
{
    let mut values = values.to_vec();
    values.push(first);
    values.sort();
    values
}
