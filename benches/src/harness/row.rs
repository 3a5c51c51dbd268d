//! One line of the result: a work, what we take, what a peer takes, and how that stands to what was promised.

use serde::Serialize;

use super::bound::Standing;
use super::{Bound, Problem, Summary, Unit};

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) number: u8,
    pub(crate) work: String,
    pub(crate) peer_name: String,
    pub(crate) ours: Option<Summary>,
    pub(crate) peer: Option<Summary>,
    /// Of `ours` and `peer`.
    pub(crate) unit: Unit,
    /// What is judged: the ratio round by round, or `ours` where there is no peer.
    pub(crate) figure: Option<Summary>,
    pub(crate) figure_unit: Unit,
    pub(crate) bound: Bound,
    pub(crate) verdict: Verdict,
    /// What one should know beside the numbers.
    pub(crate) notes: Vec<String>,
}

/// How a row came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Verdict {
    Goal,
    Must,
    Below,
    /// There is no bound.
    Shown,
    Skipped(String),
    Failed(String),
}

impl Row {
    /// A row without numbers so far.
    pub(crate) fn new(number: u8, work: &str, peer_name: &str, bound: Bound) -> Self {
        Self {
            number,
            work: work.to_owned(),
            peer_name: peer_name.to_owned(),
            ours: None,
            peer: None,
            unit: Unit::Time,
            figure: None,
            figure_unit: Unit::Times,
            bound,
            verdict: Verdict::Skipped("not measured".to_owned()),
            notes: Vec::new(),
        }
    }

    pub(crate) fn without(mut self, problem: Problem) -> Self {
        self.verdict = match problem {
            Problem::Absent(why) => Verdict::Skipped(why),
            Problem::Failed(why) => Verdict::Failed(why),
        };
        self
    }

    /// Times of the same rounds, ours and a peer's.
    pub(crate) fn with_times(mut self, ours: &[f64], peer: &[f64]) -> Self {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(peer)
            .map(|(&ours, &peer)| self.bound.ratio(ours, peer))
            .collect();
        self.ours = Summary::of(ours);
        self.peer = Summary::of(peer);
        self.judge(Summary::of(&ratios))
    }

    /// A figure of ours alone.
    pub(crate) fn with_figure(mut self, samples: &[f64], unit: Unit) -> Self {
        self.figure_unit = unit;
        self.judge(Summary::of(samples))
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn judge(mut self, figure: Option<Summary>) -> Self {
        self.figure = figure;
        if let Some(figure) = figure {
            self.verdict = match self.bound.judge(figure.median) {
                Standing::Goal => Verdict::Goal,
                Standing::Must => Verdict::Must,
                Standing::Below => Verdict::Below,
                Standing::Unbound => Verdict::Shown,
            };
        }
        self
    }
}

impl Verdict {
    pub(super) fn show(&self) -> String {
        match self {
            Self::Goal => "goal".to_owned(),
            Self::Must => "must".to_owned(),
            Self::Below => "BELOW".to_owned(),
            Self::Shown => "-".to_owned(),
            Self::Skipped(why) => format!("skipped: {why}"),
            Self::Failed(why) => format!("FAILED: {why}"),
        }
    }

    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_the_rounds_and_not_of_the_medians() {
        let row = Row::new(1, "work", "peer", Bound::at_most(3.0, 1.0));
        // Every round says 2, whatever the weather of the round was.
        let row = row.with_times(&[2.0, 20.0, 6.0], &[1.0, 10.0, 3.0]);
        let figure = row.figure.unwrap();
        assert_eq!((figure.min, figure.median, figure.max), (2.0, 2.0, 2.0));
        assert_eq!(row.verdict, Verdict::Must);
    }

    #[test]
    fn a_wrong_result_is_louder_than_a_missing_peer() {
        let row = || Row::new(1, "work", "peer", Bound::None);
        assert!(
            !row()
                .without(Problem::absent("no python3"))
                .verdict
                .is_failure()
        );
        assert!(
            row()
                .without(Problem::failed("wrong result"))
                .verdict
                .is_failure()
        );
    }
}
