//! What a work must reach, and what it is to reach.

use serde::Serialize;

/// Two marks on one scale; which side of them is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Bound {
    /// The figure must not be more. Compared with a peer: how many times as long we take.
    AtMost { must: Option<f64>, goal: f64 },
    /// The figure must not be less. Compared with a peer: how many times as long it takes.
    AtLeast { must: Option<f64>, goal: f64 },
    /// Shown for comparison only.
    None,
}

/// How a figure stands to its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Goal,
    Must,
    Below,
    Unbound,
}

impl Bound {
    pub(crate) fn at_most(must: f64, goal: f64) -> Self {
        Self::AtMost {
            must: Some(must),
            goal,
        }
    }

    pub(crate) fn at_least(must: f64, goal: f64) -> Self {
        Self::AtLeast {
            must: Some(must),
            goal,
        }
    }

    pub(super) fn judge(self, figure: f64) -> Standing {
        let (must, reaches): (_, fn(f64, f64) -> bool) = match self {
            Self::AtMost { must, .. } => (must, |figure, mark| figure <= mark),
            Self::AtLeast { must, .. } => (must, |figure, mark| figure >= mark),
            Self::None => return Standing::Unbound,
        };
        match (self.goal(), must) {
            (Some(goal), _) if reaches(figure, goal) => Standing::Goal,
            (_, Some(must)) if !reaches(figure, must) => Standing::Below,
            _ => Standing::Must,
        }
    }

    pub(super) fn must(self) -> Option<f64> {
        match self {
            Self::AtMost { must, .. } | Self::AtLeast { must, .. } => must,
            Self::None => None,
        }
    }

    pub(super) fn goal(self) -> Option<f64> {
        match self {
            Self::AtMost { goal, .. } | Self::AtLeast { goal, .. } => Some(goal),
            Self::None => None,
        }
    }

    /// Of two times, in the direction that the marks are given in.
    pub(super) fn ratio(self, ours: f64, peer: f64) -> f64 {
        match self {
            Self::AtLeast { .. } => peer / ours,
            Self::AtMost { .. } | Self::None => ours / peer,
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::AtMost { .. } => "≤",
            Self::AtLeast { .. } => "≥",
            Self::None => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_at_goal_at_must_or_below() {
        let at_most = Bound::at_most(8.0, 2.0);
        assert_eq!(at_most.judge(2.0), Standing::Goal);
        assert_eq!(at_most.judge(2.1), Standing::Must);
        assert_eq!(at_most.judge(8.1), Standing::Below);
        let at_least = Bound::at_least(20.0, 80.0);
        assert_eq!(at_least.judge(80.0), Standing::Goal);
        assert_eq!(at_least.judge(79.0), Standing::Must);
        assert_eq!(at_least.judge(19.0), Standing::Below);
        let goal_only = Bound::AtMost {
            must: None,
            goal: 1.0,
        };
        assert_eq!(goal_only.judge(9.0), Standing::Must);
        assert_eq!(Bound::None.judge(9.0), Standing::Unbound);
    }

    #[test]
    fn a_ratio_is_named_from_the_side_that_its_marks_are() {
        assert_eq!(Bound::at_most(8.0, 2.0).ratio(10.0, 5.0), 2.0);
        assert_eq!(Bound::at_least(20.0, 80.0).ratio(5.0, 10.0), 2.0);
    }
}
