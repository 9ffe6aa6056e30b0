//! The last report as metrics, in Prometheus' text format: a file that node_exporter's textfile collector picks up.
//! A judge that runs now and then has no port to be asked at.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::{Kind, Report};

/// Writes the file; readers see the old one or the new one, and nothing in between.
///
/// # Errors
/// It cannot be written.
pub fn write_metrics(file: &Path, report: Option<&Report>, took: Duration, unix_seconds: u64) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    let written = std::fs::write(&new, text(report, took, unix_seconds)).and_then(|()| std::fs::rename(&new, file));
    written.with_context(|| format!("could not write the metrics {}", file.display()))
}

/// `None` for an audit that failed: what was known before would only look as if it still held.
fn text(report: Option<&Report>, took: Duration, unix_seconds: u64) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: f64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    };
    let is_done = if report.is_some() { 1.0 } else { 0.0 };
    gauge("audit_done", "Whether the last audit could be done.", is_done);
    gauge("audit_seconds", "How long the last audit took.", took.as_secs_f64());
    gauge(
        "audit_timestamp_seconds",
        "When the last audit ended, Unix time.",
        unix_seconds as f64,
    );
    let Some(report) = report else { return text };
    gauge("audit_orders", "Orders that were looked at.", report.orders as f64);
    gauge(
        "audit_orders_open",
        "Of these, orders that were open.",
        report.open as f64,
    );
    gauge("audit_events", "Events that were looked at.", report.events as f64);
    let _ = writeln!(
        text,
        "# HELP audit_findings What must not be there, by kind.\n# TYPE audit_findings gauge"
    );
    for kind in Kind::ALL {
        let _ = writeln!(
            text,
            "audit_findings{{kind=\"{}\"}} {}",
            kind.as_str(),
            report.count(kind)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse().expect("a number"))
    }

    #[test]
    fn findings_are_counted_by_kind() {
        let report = Report {
            orders: 3,
            open: 1,
            events: 5,
            on_their_way: 0,
            parked: 2,
            not_judged: 0,
            findings: Vec::new(),
        };
        let text = text(Some(&report), Duration::from_millis(1_500), 1_700_000_000);
        assert_eq!(value(&text, "audit_orders"), Some(3.0));
        assert_eq!(value(&text, "audit_seconds"), Some(1.5));
        assert_eq!(value(&text, "audit_findings{kind=\"lost\"}"), Some(0.0));
        assert_eq!(text.matches("audit_findings{").count(), Kind::ALL.len());
    }

    #[test]
    fn an_audit_that_failed_says_nothing_of_findings() {
        let text = text(None, Duration::from_secs(1), 0);
        assert_eq!(value(&text, "audit_done"), Some(0.0));
        assert!(!text.contains("audit_findings"), "{text}");
    }
}
