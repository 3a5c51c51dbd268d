/// Adds.
#[process_job]
#[deprecated]
pub(crate) fn sum<'a>(name: &'a str, (factor, _): (f64, f64), values: &[f64]) -> Result<f64, String> {
    if values.is_empty() { Err(name.to_owned()) } else { Ok(factor * values.iter().sum::<f64>()) }
}
