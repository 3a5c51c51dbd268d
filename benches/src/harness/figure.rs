//! Numbers as people read them.

use serde::Serialize;

use super::Summary;

/// What a number counts. Times are nanoseconds and memory is bytes until they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    Time,
    Bytes,
    Times,
}

impl Unit {
    const TIME: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
    const BYTES: [(f64, &str); 4] = [
        (1_073_741_824.0, "GiB"),
        (1_048_576.0, "MiB"),
        (1024.0, "KiB"),
        (1.0, "B"),
    ];

    fn scale(self, value: f64) -> (f64, &'static str) {
        let steps = match self {
            Self::Time => Self::TIME,
            Self::Bytes => Self::BYTES,
            Self::Times => return (1.0, "x"),
        };
        let fits = |&(size, _): &(f64, &str)| value.abs() >= size;
        steps.into_iter().find(fits).unwrap_or(steps[3])
    }

    /// With its unit, to three digits or so.
    pub(super) fn show(self, value: f64) -> String {
        let (size, name) = self.scale(value);
        let space = if self == Self::Times { "" } else { " " };
        format!("{}{space}{name}", digits(value / size))
    }

    /// A mark of a bound: as it was given.
    pub(super) fn show_mark(self, value: f64) -> String {
        let (size, name) = self.scale(value);
        let space = if self == Self::Times { "" } else { " " };
        format!("{}{space}{name}", value / size)
    }

    /// The middle, and from where to where.
    pub(super) fn show_spread(self, summary: Summary) -> String {
        let (size, name) = self.scale(summary.median);
        let space = if self == Self::Times { "" } else { " " };
        format!(
            "{}{space}{name} ({}..{})",
            digits(summary.median / size),
            digits(summary.min / size),
            digits(summary.max / size)
        )
    }
}

fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_the_unit_that_fits_them() {
        assert_eq!(Unit::Time.show(1_500.0), "1.50 us");
        assert_eq!(Unit::Time.show(0.3), "0.30 ns");
        assert_eq!(Unit::Bytes.show(600.0 * 1024.0), "600 KiB");
        assert_eq!(Unit::Times.show(12.34), "12.3x");
        assert_eq!(Unit::Times.show_mark(1.02), "1.02x");
        let summary = Summary {
            median: 2e6,
            min: 5e5,
            max: 1e7,
        };
        assert_eq!(Unit::Time.show_spread(summary), "2.00 ms (0.50..10.0)");
    }
}
