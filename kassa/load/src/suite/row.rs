//! A figure beside the bar that it has to clear.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    /// This much at least; and what would be better still.
    AtLeast(f64, f64),
    /// This much at most; and what would be better still.
    AtMost(f64, f64),
}

/// How a figure stands to its bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Better than the second number.
    Stretch,
    /// Better than the first.
    Met,
    Missed,
}

impl Bar {
    pub(crate) fn verdict(self, figure: f64) -> Verdict {
        let (is_met, is_stretch) = match self {
            Self::AtLeast(target, stretch) => (figure >= target, figure >= stretch),
            Self::AtMost(target, stretch) => (figure <= target, figure <= stretch),
        };
        match (is_met, is_stretch) {
            (true, true) => Verdict::Stretch,
            (true, false) => Verdict::Met,
            _ => Verdict::Missed,
        }
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, target, stretch) = match self {
            Self::AtLeast(target, stretch) => ('≥', target, stretch),
            Self::AtMost(target, stretch) => ('≤', target, stretch),
        };
        write!(f, "{sign} {target}")?;
        if target == stretch {
            Ok(())
        } else {
            write!(f, " ({stretch})")
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Which program measured it.
    pub(crate) program: Cow<'static, str>,
    pub(crate) what: String,
    /// The median, if there were several runs.
    pub(crate) figure: f64,
    pub(crate) unit: Cow<'static, str>,
    /// The runs behind it, in order.
    pub(crate) runs: Vec<f64>,
    pub(crate) bar: Option<Bar>,
}

impl Row {
    /// The median of `runs`; 0 without any.
    pub(crate) fn new(program: &'static str, what: impl Into<String>, unit: &'static str, runs: Vec<f64>) -> Self {
        Self {
            program: program.into(),
            what: what.into(),
            figure: crate::figures::median(runs.clone()).unwrap_or_default(),
            unit: unit.into(),
            runs,
            bar: None,
        }
    }

    pub(crate) fn with_bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.bar.map(|bar| bar.verdict(self.figure))
    }

    /// The cells of a table: program, what, figure, from–to, bar, verdict.
    pub(crate) fn cells(&self) -> [String; 6] {
        let spread = match (
            self.runs.iter().copied().reduce(f64::min),
            self.runs.iter().copied().reduce(f64::max),
        ) {
            (Some(low), Some(high)) if self.runs.len() > 1 => format!("{}–{}", number(low), number(high)),
            _ => String::new(),
        };
        [
            self.program.clone().into_owned(),
            self.what.clone(),
            format!("{} {}", number(self.figure), self.unit).trim_end().to_owned(),
            spread,
            self.bar.map(|bar| bar.to_string()).unwrap_or_default(),
            match self.verdict() {
                Some(Verdict::Stretch) => "met, stretch too",
                Some(Verdict::Met) => "met",
                Some(Verdict::Missed) => "missed",
                None => "",
            }
            .to_owned(),
        ]
    }
}

/// Three digits or so.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_two_heights() {
        let bar = Bar::AtLeast(0.2, 0.3);
        assert_eq!(bar.verdict(0.1), Verdict::Missed);
        assert_eq!(bar.verdict(0.2), Verdict::Met);
        assert_eq!(bar.verdict(0.3), Verdict::Stretch);
        let bar = Bar::AtMost(25.0, 10.0);
        assert_eq!(bar.verdict(26.0), Verdict::Missed);
        assert_eq!(bar.verdict(25.0), Verdict::Met);
        assert_eq!(bar.verdict(10.0), Verdict::Stretch);
        assert_eq!(Bar::AtMost(5.0, 5.0).to_string(), "≤ 5");
        assert_eq!(bar.to_string(), "≤ 25 (10)");
    }

    #[test]
    fn a_row_shows_its_median_and_its_spread() {
        let row = Row::new("whole", "over the limit", "", vec![0.1, 0.3, 0.2]).with_bar(Bar::AtLeast(0.2, 0.3));
        assert_eq!(
            row.cells(),
            ["whole", "over the limit", "0.200", "0.100–0.300", "≥ 0.2 (0.3)", "met"]
        );
        assert_eq!(Row::new("idle", "CPU", "%", vec![12.34]).cells()[2..4], ["12.3 %", ""]);
    }
}
