//! The plots, as SVG text.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const INK: &str = "#222";
const FAINT: &str = "#888";

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"{INK}\">\n\
         <title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-weight=\"bold\">{title}</text>\n"
    )
}

/// Writes a text at its place: `start`, `middle` or `end` of it is at `x`.
fn text(svg: &mut String, x: f64, y: f64, anchor: &str, style: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{text}</text>"
    );
}

/// A table whose cells are the darker the larger their share is.
pub(crate) struct Heat {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    /// Name, and for each column what stands there and its share from 0 to 1.
    pub(crate) rows: Vec<(String, Vec<Cell>)>,
}

/// What stands in a cell, and its share; `None` if nothing is known.
pub(crate) type Cell = Option<(String, f64)>;

impl Heat {
    pub(crate) fn draw(&self) -> String {
        const LABEL: f64 = 275.0;
        const ROW: f64 = 26.0;
        let top = 100.0;
        let cell = (WIDTH - LABEL - 10.0) / self.columns.len() as f64;
        let mut svg = open(top + ROW * self.rows.len() as f64 + 10.0, &self.title);
        for (i, column) in self.columns.iter().enumerate() {
            let x = LABEL + cell * (i as f64 + 0.5);
            let lines = wrap(column, 10);
            for (j, line) in lines.iter().enumerate() {
                let y = top - 8.0 - 15.0 * (lines.len() - 1 - j) as f64;
                text(&mut svg, x, y, "middle", "font-size=\"11\"", line);
            }
        }
        for (j, (name, cells)) in self.rows.iter().enumerate() {
            let y = top + ROW * j as f64;
            let weight = if name.contains("sealed") { "font-weight=\"bold\"" } else { "" };
            text(&mut svg, LABEL - 8.0, y + 17.0, "end", weight, name);
            for (i, found) in cells.iter().enumerate() {
                let x = LABEL + cell * i as f64;
                let Some((content, share)) = found else {
                    text(&mut svg, x + cell / 2.0, y + 17.0, "middle", "fill=\"#bbb\"", "·");
                    continue;
                };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                    x + 1.0,
                    y + 1.0,
                    cell - 2.0,
                    ROW - 2.0,
                    shade(*share)
                );
                let style = if *share > 0.55 { "fill=\"#fff\"" } else { "" };
                text(&mut svg, x + cell / 2.0, y + 17.0, "middle", style, content);
            }
        }
        svg + "</svg>\n"
    }
}

/// Green for nothing at all, and from there light to dark red.
fn shade(share: f64) -> String {
    if share <= 0.0 {
        return "#d9ead3".into();
    }
    let mix = |from: f64, to: f64| (from + (to - from) * share.clamp(0.08, 1.0)).round();
    format!("rgb({},{},{})", mix(252.0, 153.0), mix(228.0, 27.0), mix(214.0, 30.0))
}

fn wrap(words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// Lines over the number of nodes, both axes logarithmic.
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) lines: Vec<Line>,
    /// From here on the nodes are computed.
    pub(crate) measured_to: f64,
}

pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) color: &'static str,
    pub(crate) measured: Vec<(f64, f64)>,
    pub(crate) computed: Vec<(f64, f64)>,
}

impl Lines {
    pub(crate) fn draw(&self) -> String {
        const LEFT: f64 = 80.0;
        const RIGHT: f64 = 600.0;
        const TOP: f64 = 45.0;
        const BOTTOM: f64 = 390.0;
        /// What is nothing has no place on a logarithmic axis, and gets one below it.
        const NOTHING: f64 = 415.0;
        let points =
            || self.lines.iter().flat_map(|line| line.measured.iter().chain(&line.computed));
        let values = || points().map(|(_, y)| *y).filter(|y| *y >= 1.0);
        let low = 10_f64.powf(values().fold(f64::MAX, f64::min).log10().floor());
        let high = 10_f64.powf(values().fold(1.0, f64::max).log10().ceil());
        let x = |nodes: f64| LEFT + (RIGHT - LEFT) * (nodes / 2.0).ln() / 50_f64.ln();
        let y = |value: f64| match value >= 1.0 {
            true => BOTTOM - (BOTTOM - TOP) * (value / low).ln() / (high / low).ln(),
            false => NOTHING,
        };
        let mut svg = open(470.0, &self.title);
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#f6f6f6\"/>",
            x(self.measured_to),
            RIGHT - x(self.measured_to),
            NOTHING - TOP
        );
        let middle = f64::midpoint(x(self.measured_to), RIGHT);
        let faint = format!("fill=\"{FAINT}\" font-size=\"12\"");
        text(&mut svg, middle, TOP + 16.0, "middle", &faint, "computed");
        let mut value = low;
        while value <= high {
            let at = y(value);
            let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#ddd\"/>");
            text(&mut svg, LEFT - 6.0, at + 4.0, "end", "font-size=\"12\"", &short(value));
            value *= 10.0;
        }
        let _ = writeln!(svg, "<path d=\"M{LEFT} {NOTHING}H{RIGHT}\" stroke=\"#ddd\"/>");
        text(&mut svg, LEFT - 6.0, NOTHING + 4.0, "end", "font-size=\"12\"", "0");
        for nodes in [2.0, 3.0, 4.0, 10.0, 20.0, 50.0, 100.0] {
            text(
                &mut svg,
                x(nodes),
                NOTHING + 22.0,
                "middle",
                "font-size=\"12\"",
                &format!("{nodes}"),
            );
        }
        text(
            &mut svg,
            f64::midpoint(LEFT, RIGHT),
            NOTHING + 42.0,
            "middle",
            "font-size=\"12\"",
            "nodes",
        );
        text(&mut svg, 10.0, TOP - 8.0, "start", &faint, self.unit);
        let mut ends = Vec::new();
        for Line { name, color, measured, computed } in &self.lines {
            let path = |points: &[(f64, f64)]| {
                let points = points.iter().map(|(n, v)| format!("{:.1} {:.1}", x(*n), y(*v)));
                format!("M{}", points.collect::<Vec<_>>().join("L"))
            };
            let _ = writeln!(
                svg,
                "<path d=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\" stroke-dasharray=\"5 4\"/>",
                path(computed)
            );
            for (nodes, value) in measured {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{color}\"/>",
                    x(*nodes),
                    y(*value)
                );
            }
            if let Some((_, value)) = computed.last() {
                ends.push((y(*value), name, *color));
            }
        }
        // Names that would stand on each other move apart.
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut lowest = 0.0;
        for (at, name, color) in ends {
            let at = f64::max(at, lowest + 16.0);
            lowest = at;
            text(&mut svg, RIGHT + 8.0, at + 4.0, "start", &format!("fill=\"{color}\""), name);
        }
        svg + "</svg>\n"
    }
}

/// Bars of several parts, side by side in groups.
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) parts: Vec<(&'static str, &'static str)>,
    /// Name of the row, and what each part is.
    pub(crate) rows: Vec<(String, Vec<f64>)>,
    pub(crate) digits: usize,
}

impl Bars {
    pub(crate) fn draw(&self) -> String {
        const LABEL: f64 = 320.0;
        const ROW: f64 = 22.0;
        let top = 60.0;
        let mut svg = open(top + ROW * self.rows.len() as f64 + 10.0, &self.title);
        let mut x = LABEL;
        for (name, color) in &self.parts {
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"36\" width=\"12\" height=\"12\" fill=\"{color}\"/>"
            );
            text(&mut svg, x + 17.0, 47.0, "start", "font-size=\"12\"", name);
            x += 40.0 + 7.0 * name.len() as f64;
        }
        let most = self.rows.iter().map(|(_, parts)| parts.iter().sum()).fold(1e-9, f64::max);
        let scale = (WIDTH - LABEL - 70.0) / most;
        for (i, (name, parts)) in self.rows.iter().enumerate() {
            let y = top + ROW * i as f64;
            let weight = if name.contains("sealed") { "font-weight=\"bold\"" } else { "" };
            text(&mut svg, LABEL - 8.0, y + 15.0, "end", weight, name);
            let mut x = LABEL;
            for (part, (_, color)) in parts.iter().zip(&self.parts) {
                let width = part * scale;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{color}\"/>",
                    y + 3.0,
                    ROW - 6.0
                );
                x += width;
            }
            let sum = format!("{:.*}", self.digits, parts.iter().sum::<f64>());
            text(&mut svg, x + 5.0, y + 15.0, "start", "font-size=\"11\"", &sum);
        }
        svg + "</svg>\n"
    }
}

fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", v / 1e6),
        v if v >= 1e3 => format!("{} k", v / 1e3),
        v => format!("{v}"),
    }
}
