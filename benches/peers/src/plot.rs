//! The plot, as SVG text.

use std::fmt::Write as _;

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

/// Draws encode and decode of each session as bars, each session to its own scale.
pub(crate) fn peers(charts: &[(&str, Vec<Bar>)]) -> String {
    let rows: usize = charts.iter().map(|(_, bars)| bars.len() + 2).sum();
    let height = rows as f64 * ROW + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (i, (name, color)) in COLORS.iter().enumerate() {
        let x = WIDTH - 180.0 + 90.0 * i as f64;
        let _ =
            writeln!(svg, "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{color}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"22\">{name}</text>", x + 18.0);
    }
    let mut y = 24.0;
    for (title, bars) in charts {
        let most = bars.iter().map(|bar| bar.encode.max(bar.decode)).fold(0.0, f64::max);
        let scale = (WIDTH - LABEL - 80.0) / most;
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{title}, microseconds</text>"
        );
        y += 8.0;
        for bar in bars {
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                LABEL - 8.0,
                y + 16.0,
                bar.name
            );
            for (i, time) in [bar.encode, bar.decode].into_iter().enumerate() {
                let top = y + 1.0 + 11.0 * i as f64;
                let width = time * scale;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{LABEL}\" y=\"{top}\" width=\"{width:.1}\" height=\"10\" fill=\"{}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{:.2}</text>",
                    COLORS[i].1,
                    LABEL + width + 4.0,
                    top + 9.0,
                    time / 1000.0
                );
            }
            y += ROW;
        }
        y += ROW + 10.0;
    }
    svg + "</svg>\n"
}
