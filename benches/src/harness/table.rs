//! The result as a table for people.

use std::fmt::Write as _;

use super::{Row, Unit};

const HEAD: [&str; 8] = [
    "#", "work", "ours", "peer", "ratio", "must", "goal", "verdict",
];

/// Lines of equal columns, and the notes under them.
pub(crate) fn to_table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let width = |line: &[String; 8]| line[column].chars().count();
            lines.iter().map(width).max().unwrap_or(0)
        })
        .collect();
    let mut table = String::new();
    for (place, line) in lines.iter().enumerate() {
        let padded = line.iter().zip(&widths).map(|(cell, &width)| {
            let fill = width - cell.chars().count();
            format!("{cell}{}", " ".repeat(fill))
        });
        let padded: Vec<String> = padded.collect();
        let _infallible = writeln!(table, "{}", padded.join("  ").trim_end());
        if place == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            let _infallible = writeln!(table, "{}", rules.join("  "));
        }
    }
    for (place, row) in rows.iter().enumerate() {
        // Rows of one contest have what is said of it in common.
        let said = place
            .checked_sub(1)
            .map_or(&[][..], |last| &rows[last].notes);
        for note in row.notes.iter().filter(|note| !said.contains(note)) {
            let _infallible = writeln!(table, "  #{} {}: {note}", row.number, row.work);
        }
    }
    table
}

fn cells(row: &Row) -> [String; 8] {
    let median = |summary: Option<super::Summary>| {
        summary.map_or("-".to_owned(), |summary| row.unit.show(summary.median))
    };
    let peer = match row.peer {
        Some(_) => format!("{} {}", median(row.peer), row.peer_name),
        None => row.peer_name.clone(),
    };
    let mark = |mark: Option<f64>| {
        mark.map_or("-".to_owned(), |mark| {
            format!("{} {}", row.bound.sign(), row.figure_unit.show_mark(mark))
        })
    };
    let unit: Unit = row.figure_unit;
    [
        row.number.to_string(),
        row.work.clone(),
        median(row.ours),
        peer,
        row.figure
            .map_or("-".to_owned(), |figure| unit.show_spread(figure)),
        mark(row.bound.must()),
        mark(row.bound.goal()),
        row.verdict.show(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::{Bound, Problem};
    use super::*;

    #[test]
    fn a_row_says_who_took_what_and_what_was_promised() {
        let done = Row::new(1, "square", "rayon", Bound::at_most(8.0, 2.0))
            .with_times(&[3e6], &[1e6])
            .note("a note");
        let skipped =
            Row::new(3, "square", "procspawn", Bound::None).without(Problem::absent("not built"));
        let table = to_table(&[done, skipped]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(
            lines[2].starts_with("1  square  3.00 ms  1.00 ms rayon  3.00x (3.00..3.00)  ≤ 8x")
        );
        assert!(lines[2].ends_with("must"));
        assert!(lines[3].ends_with("skipped: not built"));
        assert_eq!(lines[4], "  #1 square: a note");
    }
}
