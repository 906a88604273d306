//! The alert rules and the dashboard: they name what is counted, and pages that exist.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const ALERTS: &str = include_str!("../docs/monitoring/alerts.yml");
const DASHBOARD: &str = include_str!("../docs/monitoring/dashboard.json");
const OPERATING: &str = include_str!("../docs/OPERATING.md");

/// The names of counters in a text.
fn counters(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_lowercase() || c == '_';
    let found = text.match_indices("sealed_session_").map(|(at, _)| text.get(at..).unwrap());
    found.map(|rest| rest.split(|c| !word(c)).next().unwrap()).collect()
}

/// The values of a label in the expressions of a text, each of a regular expression apart.
fn values<'t>(text: &'t str, label: &str) -> BTreeSet<&'t str> {
    let mut found = BTreeSet::new();
    for operator in ["=", "=~"] {
        let begin = format!("{label}{operator}\"");
        for (at, _) in text.match_indices(&begin) {
            let rest = text.get(at + begin.len()..).unwrap();
            found.extend(rest.split('"').next().unwrap().split('|'));
        }
    }
    found
}

/// The documentation has a table of all counters, and the reasons are those of the source.
#[test]
fn what_is_asked_for_is_counted() {
    let known = counters(OPERATING);
    assert!(known.len() >= 8, "{known:?}");
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut expressions = String::new();
    let panels = dashboard["panels"].as_array().unwrap();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        expressions += target["expr"].as_str().unwrap();
        expressions.push('\n');
    }
    expressions += dashboard["annotations"]["list"][0]["expr"].as_str().unwrap();
    let source =
        [include_str!("../src/codec/error.rs"), include_str!("../src/observe.rs")].concat();
    for text in [ALERTS, &expressions] {
        let asked = counters(text);
        assert!(asked.len() >= 4 && asked.is_subset(&known), "{asked:?} of {known:?}");
        for value in values(text, "reason").into_iter().chain(values(text, "result")) {
            assert!(source.contains(&format!("\"{value}\"")), "nothing counts {value}");
        }
    }
    assert_eq!(counters(&expressions).len(), 7, "the dashboard shows what matters");
}

#[test]
fn a_dashboard_can_be_imported() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    for (name, kind) in
        [("title", "string"), ("uid", "string"), ("schemaVersion", "number"), ("panels", "array")]
    {
        let found = &dashboard[name];
        let good = match kind {
            "string" => found.is_string(),
            "number" => found.is_u64(),
            _ => found.is_array(),
        };
        assert!(good, "{name}: {found}");
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id is given twice");
        let place = ["x", "y"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(places.insert(place), "two panels at one place");
        assert!(panel["datasource"]["uid"] == "${datasource}" && panel["type"] == "timeseries");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let depth = |open: char, close: char| {
                expression.matches(open).count().abs_diff(expression.matches(close).count())
            };
            assert_eq!(
                (depth('(', ')'), depth('{', '}'), depth('[', ']')),
                (0, 0, 0),
                "{expression}"
            );
        }
    }
    let variables: Vec<_> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    assert_eq!(variables, ["datasource", "instance"]);
}

#[test]
fn each_alert_names_a_page_that_exists() {
    let pages: Vec<_> = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook: \""))
        .map(|rest| rest.trim_end_matches('"'))
        .collect();
    assert_eq!(pages.len(), ALERTS.matches("- alert: ").count());
    for page in pages {
        assert!(OPERATING.contains(&format!("\n### {page}\n")), "{page} is no heading");
    }
}

/// With Prometheus' own tool: whether the rules are rules, and whether they fire when they should and not otherwise.
#[test]
#[ignore = "needs promtool"]
fn the_rules_are_taken_by_prometheus_and_fire() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring");
    for args in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let done =
            Command::new("promtool").args(args).current_dir(folder).output().expect("promtool");
        let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(done.status.success() && told.contains("SUCCESS"), "{args:?}: {told}");
    }
}
