//! The result as a chart: how many times as fast as each peer, on a logarithmic scale.
//!
//! One bar per row that was compared with a peer, from 1 (equal) to the median, with a thin line for the spread and two
//! ticks for must and goal. Colours fit light and dark pages.

use std::fmt::Write as _;

use super::{Bound, Row, Summary, Verdict};

const LABELS: f64 = 480.0;
const SCALE: f64 = 440.0;
const VALUES: f64 = 90.0;
const LINE: f64 = 24.0;
const TOP: f64 = 52.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.axis{stroke:#8c959f;stroke-width:1}\
.grid{stroke:#d0d7de;stroke-width:1}.spread{stroke:#57606a;stroke-width:1.5}.mark{stroke:#24292f;stroke-width:2}\
.goal{fill:#2da44e}.must{fill:#d4a72c}.below{fill:#cf222e}.shown{fill:#8c959f}.value{text-anchor:end}.tick{text-anchor:middle}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.spread{stroke:#9198a1}.mark{stroke:#e6edf3}}";

/// A chart of the rows that were compared with a peer.
pub(crate) fn to_svg(rows: &[Row]) -> String {
    let bars: Vec<(&Row, Summary)> = rows
        .iter()
        .filter(|row| row.peer.is_some())
        .filter_map(|row| Some((row, speed(row.bound, row.figure?))))
        .collect();
    let reach = bars.iter().flat_map(|(_, speed)| [speed.min, speed.max]);
    let (low, high) = reach.fold((0.1, 10.0), |(low, high): (f64, f64), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    let x = |value: f64| {
        let share = (value.log10() - low) / (high - low);
        LABELS + share.clamp(0.0, 1.0) * SCALE
    };
    let (width, height) = (
        LABELS + SCALE + VALUES,
        TOP + bars.len() as f64 * LINE + 14.0,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>How many times as fast as its peers</title>\n<style>{STYLE}</style>\n\
         <text x=\"8\" y=\"20\">times as fast as the peer (right of 1x: faster); ticks: must and goal</text>\n"
    );
    for power in low as i32..=high as i32 {
        let at = x(10_f64.powi(power));
        let class = if power == 0 { "axis" } else { "grid" };
        line(&mut svg, class, [at, TOP - 6.0, at, height - 10.0]);
        let value = 10_f64.powi(power);
        text(&mut svg, "tick", [at, TOP - 12.0], &format!("{value}x"));
    }
    for (place, (row, speed)) in bars.iter().enumerate() {
        let y = TOP + place as f64 * LINE;
        let middle = y + LINE / 2.0;
        let (from, to) = (x(1.0).min(x(speed.median)), x(1.0).max(x(speed.median)));
        let label = format!("{}  {} / {}", row.number, row.work, row.peer_name);
        text(&mut svg, "label", [8.0, middle + 4.0], &label);
        let class = class(&row.verdict);
        let _infallible = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
            y + 4.0,
            (to - from).max(1.5),
            LINE - 8.0
        );
        line(
            &mut svg,
            "spread",
            [x(speed.min), middle, x(speed.max), middle],
        );
        for mark in [row.bound.must(), row.bound.goal()].into_iter().flatten() {
            let at = x(advantage(row.bound, mark));
            line(&mut svg, "mark", [at, y + 2.0, at, y + LINE - 2.0]);
        }
        let value = format!("{:.3}", speed.median);
        let value = value.get(..5).unwrap_or(&value).trim_end_matches('.');
        text(
            &mut svg,
            "value",
            [width - 8.0, middle + 4.0],
            &format!("{value}x"),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Of a figure of the bound's kind: how many times as fast we are.
fn advantage(bound: Bound, figure: f64) -> f64 {
    match bound {
        Bound::AtLeast { .. } => figure,
        Bound::AtMost { .. } | Bound::None => 1.0 / figure,
    }
}

fn speed(bound: Bound, figure: Summary) -> Summary {
    let [a, b] = [figure.min, figure.max].map(|value| advantage(bound, value));
    Summary {
        median: advantage(bound, figure.median),
        min: a.min(b),
        max: a.max(b),
    }
}

fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Goal => "goal",
        Verdict::Must => "must",
        Verdict::Below | Verdict::Failed(_) => "below",
        Verdict::Shown | Verdict::Skipped(_) => "shown",
    }
}

fn line(svg: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let _infallible = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(svg: &mut String, class: &str, [x, y]: [f64; 2], words: &str) {
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _infallible = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_compared_rows_and_escapes_their_names() {
        let compared =
            Row::new(1, "Vec<u8>", "rayon", Bound::at_most(8.0, 2.0)).with_times(&[4.0], &[1.0]);
        let alone = Row::new(2, "alone", "", Bound::None);
        let svg = to_svg(&[compared, alone]);
        assert!(svg.contains("Vec&lt;u8&gt; / rayon"));
        assert!(svg.contains("0.250x") || svg.contains("0.25"));
        assert!(!svg.contains("alone"));
        assert_eq!(svg.matches("class=\"must\"").count(), 1);
    }
}
