//! What a round has come to, also as text: a round may be run in a program of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// See the module's head.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) n_items: u64,
    /// What was injected, by kind.
    pub(crate) faults: BTreeMap<String, u64>,
    /// Items without their result, by what took it.
    pub(crate) lost: BTreeMap<String, u64>,
}

/// A line for each number, and its name in front of it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "items={}", self.n_items)?;
        for (kind, n) in &self.faults {
            writeln!(f, "fault {kind}={n}")?;
        }
        for (to, n) in &self.lost {
            writeln!(f, "lost {to}={n}")?;
        }
        Ok(())
    }
}

impl FromStr for Report {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut report = Self::default();
        for line in text.lines() {
            let strange = || format!("{line:?} is no line of a report");
            let (name, number) = line.rsplit_once('=').ok_or_else(strange)?;
            let n = number.parse().map_err(|_| strange())?;
            match name.split_once(' ') {
                None if name == "items" => report.n_items = n,
                Some(("fault", kind)) => drop(report.faults.insert(kind.to_owned(), n)),
                Some(("lost", to)) => drop(report.lost.insert(to.to_owned(), n)),
                _ => return Err(strange()),
            }
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_from_its_text() {
        let count = |name: &str| BTreeMap::from([(name.to_owned(), 3), ("other".to_owned(), 4)]);
        let report = Report {
            n_items: 5,
            faults: count("SIGKILL to the supervisor"),
            lost: count("to the supervisor's death"),
        };
        assert_eq!(report.to_string().parse(), Ok(report));
        assert!("a word".parse::<Report>().is_err());
        assert!("gained nothing=3".parse::<Report>().is_err());
    }
}
