//! Durations in attribute arguments: a decimal number and a unit, `"1.5s"`.
//!
//! Invariant: exact. A text that is no whole number of nanoseconds, or more of them than 64 bits hold, is a mistake.

/// What every message about a duration ends with.
pub(crate) const EXAMPLES: &str = r#""250ms", "2s", "1.5s", "1m", "1h" or "10us""#;

const UNITS: [(&str, u64); 5] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The nanoseconds in `text`, or why there are none to be had.
pub(crate) fn nanoseconds(text: &str) -> Result<u64, String> {
    let malformed =
        || format!("`{text}` is not a duration: write a number and a unit, such as {EXAMPLES}");
    let out_of_range = || format!("`{text}` is too long: a duration holds about 584 years");
    let end_of_number = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(malformed)?;
    let (number, unit) = text.split_at(end_of_number);
    let (_, unit_in_nanos) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(malformed)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(malformed());
    }

    let too_fine = || format!("`{text}` is finer than a nanosecond");
    let whole: u64 = whole.parse().map_err(|_| out_of_range())?;
    let digits = fraction.trim_end_matches('0');
    let part: u128 = format!("0{digits}").parse().map_err(|_| too_fine())?;
    let divisor = u32::try_from(digits.len())
        .ok()
        .and_then(|n_digits| 10_u128.checked_pow(n_digits))
        .ok_or_else(too_fine)?;
    let part = part
        .checked_mul(unit_in_nanos.into())
        .ok_or_else(too_fine)?;
    if part % divisor != 0 {
        return Err(too_fine());
    }
    let part = u64::try_from(part / divisor).map_err(|_| out_of_range())?;
    let nanos = whole
        .checked_mul(unit_in_nanos)
        .and_then(|nanos| nanos.checked_add(part))
        .ok_or_else(out_of_range)?;
    if nanos == 0 {
        return Err(format!(
            "`{text}` would end every job before it begins: write a longer duration, such as {EXAMPLES}"
        ));
    }
    Ok(nanos)
}

#[cfg(test)]
mod tests {
    use super::nanoseconds;

    #[test]
    fn every_unit_is_read() {
        let texts = [
            "10us",
            "250ms",
            "2s",
            "1.5s",
            "1m",
            "0.5h",
            "1h",
            "0.001us",
            "2.000000000000s",
        ];
        let nanos = texts.map(|text| nanoseconds(text).unwrap());
        let second = 1_000_000_000;
        assert_eq!(
            nanos,
            [
                10_000,
                250_000_000,
                2 * second,
                3 * second / 2,
                60 * second,
                1800 * second,
                3600 * second,
                1,
                2 * second
            ]
        );
    }

    #[test]
    fn what_is_no_number_and_unit_is_refused() {
        for text in [
            "",
            "2",
            "s",
            "2 s",
            "-2s",
            ".5s",
            "2.s",
            "1.2.3s",
            "2sec",
            "2S",
            "1s500ms",
            "1e3s",
            "two seconds",
        ] {
            let message = nanoseconds(text).unwrap_err();
            assert!(message.contains("is not a duration"), "{text}: {message}");
        }
    }

    #[test]
    fn zero_the_too_long_and_the_too_fine_are_refused() {
        for text in ["0s", "0.0h"] {
            assert!(
                nanoseconds(text).unwrap_err().contains("before it begins"),
                "{text}"
            );
        }
        for text in [
            "99999999999h",
            "99999999999999999999999s",
            "18446744073.9s",
            "5124095.99h",
        ] {
            assert!(
                nanoseconds(text).unwrap_err().contains("too long"),
                "{text}"
            );
        }
        for text in [
            "0.0001us",
            "1.00000000001s",
            "0.000000000000000000000000000000000000000000001h",
        ] {
            assert!(nanoseconds(text).unwrap_err().contains("finer"), "{text}");
        }
    }
}
