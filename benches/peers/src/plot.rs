//! The plots, as SVG text: no program is needed to draw them, and no script to see them.

use std::fmt::Write as _;
use std::path::Path;

/// Writes a plot into the folder of the benchmarks.
pub(crate) fn write(name: &str, svg: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::write(file, svg).expect("the plot can be written");
}

/// One contestant.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) encode: f64,
    pub(crate) decode: f64,
}

const WIDTH: f64 = 860.0;
const LABEL: f64 = 290.0;
const ROW: f64 = 26.0;
const COLORS: [(&str, &str); 2] = [("encode", "#7a9cc6"), ("decode", "#1f4e79")];

fn canvas(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    )
}

fn rect(svg: &mut String, [x, y, width, height]: [f64; 4], color: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"/>"
    );
}

/// Writes text, with further attributes of the element.
fn text(svg: &mut String, (x, y): (f64, f64), attributes: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>");
}

/// Draws encode and decode of each session as bars, each session to its own scale.
pub(crate) fn peers(charts: &[(&str, Vec<Bar>)]) -> String {
    let rows: usize = charts.iter().map(|(_, bars)| bars.len() + 2).sum();
    let mut svg = canvas(WIDTH, rows as f64 * ROW + 20.0);
    for (i, (name, color)) in COLORS.iter().enumerate() {
        let x = WIDTH - 180.0 + 90.0 * i as f64;
        rect(&mut svg, [x, 12.0, 12.0, 12.0], color);
        text(&mut svg, (x + 18.0, 22.0), "", name);
    }
    let mut y = 24.0;
    for (title, bars) in charts {
        let most = bars.iter().map(|bar| bar.encode.max(bar.decode)).fold(0.0, f64::max);
        let scale = (WIDTH - LABEL - 80.0) / most;
        text(&mut svg, (10.0, y), "font-weight=\"bold\"", &format!("{title}, microseconds"));
        y += 8.0;
        for bar in bars {
            let ours = bar.name.starts_with("sealed-session");
            let weight = if ours { " font-weight=\"bold\"" } else { "" };
            let attributes = format!("text-anchor=\"end\"{weight}");
            text(&mut svg, (LABEL - 8.0, y + 16.0), &attributes, &bar.name);
            for (i, time) in [bar.encode, bar.decode].into_iter().enumerate() {
                let (top, width) = (y + 1.0 + 11.0 * i as f64, time * scale);
                rect(&mut svg, [LABEL, top, width, 10.0], COLORS[i].1);
                let value = format!("{:.2}", time / 1000.0);
                text(&mut svg, (LABEL + width + 4.0, top + 9.0), "font-size=\"10\"", &value);
            }
            y += ROW;
        }
        y += ROW + 10.0;
    }
    svg + "</svg>\n"
}

/// One chart of [`lines`].
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
}

/// One line of a chart.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Line {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }
}

/// The color of each line, and whether it is dashed.
const LINES: [(&str, &str); 4] =
    [("#1f4e79", ""), ("#c0504d", ""), ("#1f4e79", "5 4"), ("#c0504d", "5 4")];

/// Draws charts in two columns, each to its own scale.
pub(crate) fn lines(panels: &[Panel], x_axis: &str) -> String {
    const SIZE: (f64, f64) = (430.0, 230.0);
    const LEFT: f64 = 48.0;
    const TOP: f64 = 34.0;
    let (wide, high) = (SIZE.0 - LEFT - 14.0, SIZE.1 - TOP - 38.0);
    let mut svg = canvas(2.0 * SIZE.0, panels.len().div_ceil(2) as f64 * SIZE.1 + 30.0);
    for (i, line) in panels.first().map_or(&[][..], |panel| &panel.lines).iter().enumerate() {
        let (color, dash) = LINES[i % LINES.len()];
        let x = 20.0 + 200.0 * i as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{x} 16h30\" stroke=\"{color}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>"
        );
        text(&mut svg, (x + 36.0, 20.0), "", line.name);
    }
    for (i, panel) in panels.iter().enumerate() {
        let (x0, y0) = ((i % 2) as f64 * SIZE.0 + LEFT, (i / 2) as f64 * SIZE.1 + TOP + 30.0);
        let points = || panel.lines.iter().flat_map(|line| &line.points);
        let most_x = points().map(|point| point.0).fold(1.0, f64::max);
        let step = step(points().map(|point| point.1).fold(1.0, f64::max) / 4.0);
        let most_y = (points().map(|point| point.1).fold(1.0, f64::max) / step).ceil() * step;
        text(&mut svg, (x0, y0 - 10.0), "font-weight=\"bold\"", &panel.title);
        let mut tick = 0.0;
        while tick <= most_y * 1.001 {
            let y = y0 + high - tick / most_y * high;
            let _ = writeln!(svg, "<path d=\"M{x0:.1} {y:.1}h{wide:.1}\" stroke=\"#ddd\"/>");
            text(
                &mut svg,
                (x0 - 6.0, y + 4.0),
                "text-anchor=\"end\" font-size=\"10\"",
                &format!("{tick}"),
            );
            tick += step;
        }
        for tick in (0..=most_x as usize).step_by(2048) {
            let x = x0 + tick as f64 / most_x * wide;
            let label = if tick == 0 { "0".to_owned() } else { format!("{tick}") };
            text(
                &mut svg,
                (x, y0 + high + 14.0),
                "text-anchor=\"middle\" font-size=\"10\"",
                &label,
            );
        }
        text(
            &mut svg,
            (x0 + wide, y0 + high + 27.0),
            "text-anchor=\"end\" font-size=\"10\"",
            x_axis,
        );
        for (i, line) in panel.lines.iter().enumerate() {
            let (color, dash) = LINES[i % LINES.len()];
            let path: Vec<_> = line
                .points
                .iter()
                .map(|(x, y)| {
                    format!("{:.1} {:.1}", x0 + x / most_x * wide, y0 + high - y / most_y * high)
                })
                .collect();
            let path = path.join("L");
            let _ = writeln!(
                svg,
                "<path d=\"M{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>"
            );
        }
    }
    svg + "</svg>\n"
}

/// Returns the least of 1, 2, 5, 10, 20 … that is not less.
fn step(least: f64) -> f64 {
    let ten = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|n| n * ten)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(ten * 10.0)
}

/// What a request costs at one server, in microseconds of processor time.
pub(crate) struct Cost {
    pub(crate) name: String,
    /// Of the server without any session, what the session adds to it, and of the store.
    pub(crate) bare: f64,
    pub(crate) session: f64,
    pub(crate) store: f64,
    pub(crate) ours: bool,
}

/// Draws what a session costs a request: one bar for each way to keep it.
pub(crate) fn costs(title: &str, charts: &[(String, Vec<Cost>)]) -> String {
    const LABEL: f64 = 250.0;
    const STORE: &str = "#c0504d";
    const BARE: &str = "#d0d0d0";
    const SESSION: &str = "#e8a33d";
    const OURS: &str = "#1f4e79";
    let rows: usize = charts.iter().map(|(_, bars)| bars.len()).sum();
    let height = rows as f64 * ROW + charts.len() as f64 * 44.0 + 60.0;
    let mut svg = canvas(WIDTH, height);
    text(&mut svg, (10.0, 26.0), "font-size=\"17\" font-weight=\"bold\"", title);
    let legend = [
        (BARE, "the request itself"),
        (OURS, "sealed-session"),
        (SESSION, "another session"),
        (STORE, "Redis"),
    ];
    for (i, (color, name)) in legend.into_iter().enumerate() {
        let x = 10.0 + 170.0 * i as f64;
        rect(&mut svg, [x, 38.0, 12.0, 12.0], color);
        text(&mut svg, (x + 18.0, 48.0), "", name);
    }
    let total = |bar: &Cost| bar.bare + bar.session + bar.store;
    let most = charts.iter().flat_map(|(_, bars)| bars).map(total).fold(1.0, f64::max);
    let scale = (WIDTH - LABEL - 150.0) / most;
    let mut y = 60.0;
    for (title, bars) in charts {
        y += 26.0;
        text(&mut svg, (10.0, y), "font-weight=\"bold\"", title);
        y += 8.0;
        for bar in bars {
            let weight = if bar.ours { "font-weight=\"bold\"" } else { "" };
            text(
                &mut svg,
                (LABEL - 8.0, y + 15.0),
                &format!("text-anchor=\"end\" {weight}"),
                &bar.name,
            );
            let mut x = LABEL;
            let session = if bar.ours { OURS } else { SESSION };
            for (part, color) in [(bar.bare, BARE), (bar.session, session), (bar.store, STORE)] {
                rect(&mut svg, [x, y + 2.0, part.max(0.0) * scale, ROW - 8.0], color);
                x += part.max(0.0) * scale;
            }
            let added = bar.session + bar.store;
            let value = if added.abs() < 0.05 && !bar.ours {
                format!("{:.1} in all", bar.bare)
            } else {
                format!("+ {added:.1}")
            };
            text(&mut svg, (x + 6.0, y + 15.0), weight, &value);
            y += ROW;
        }
        y += 10.0;
    }
    svg + "</svg>\n"
}
