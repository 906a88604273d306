//! The report: what a run found, as tables, plots and advice.

mod advice;
mod end;
mod figures;
mod find;
mod plot;
mod plots;
mod tables;

use std::fs;
use std::path::Path;

use crate::Result;
use crate::run::Run;

/// Writes `FOUR_WAYS.md` and its plots into this folder.
pub(crate) fn write(run: &Run, docs: &Path) -> Result<()> {
    let plots = docs.join("four_ways");
    fs::create_dir_all(&plots)?;
    for (name, svg) in plots::all(run) {
        fs::write(plots.join(name), svg)?;
    }
    fs::write(docs.join("FOUR_WAYS.md"), page(run))?;
    Ok(())
}

fn page(run: &Run) -> String {
    let versions: Vec<_> =
        run.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        r#"# The four ways, side by side

An application on one Tomcat, or on one node of any kind, gets a second one behind a round-robin nginx, and its users have
to log in again and again. There are four known answers: **replicate** the sessions between the nodes, **stick** each client
to a node, keep the sessions in a **central** store, or keep them in the client's **cookie**, as this crate does. Each has
drawbacks that are named everywhere, and nowhere with a figure. Here are the figures, from real programs on one machine,
also [where this crate loses](#where-sealed-cookies-lose).

{advice}

[Measured](#how-it-was-measured-and-what-it-does-not-show) on {date}, on {machine}: {versions}. {note}

{tables}

{figures}

{end}
"#,
        date = run.date,
        machine = run.machine,
        versions = versions.join(", "),
        note = note(run),
        advice = advice::all(run),
        tables = tables::all(run),
        figures = figures::all(run),
        end = end::all(run),
    )
}

fn note(run: &Run) -> String {
    let faults = run
        .faults
        .iter()
        .map(|fault| format!("Missing: {}.", fault.lines().next().unwrap_or_default()));
    run.note.iter().cloned().chain(faults).collect::<Vec<_>>().join(" ")
}
