//! What has changed since an earlier output of the benchmarks.

use std::collections::BTreeMap;

use crate::table::Table;

/// The figures of an earlier output, by the title of their table and what they are of.
#[derive(Debug, Default)]
pub(crate) struct Earlier(BTreeMap<(String, String), String>);

impl Earlier {
    /// Reads the tables of two columns in an output, or in docs/performance.md; all other lines are ignored.
    pub(crate) fn read(text: &str) -> Self {
        let (mut title, mut figures) = (String::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("### ") {
                heading.trim().clone_into(&mut title);
            }
            let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            if let (true, [what, figure, ..]) = (line.starts_with("| "), cells.as_slice()) {
                figures.insert((title.clone(), (*what).to_owned()), (*figure).to_owned());
            }
        }
        Self(figures)
    }

    /// The figures that were measured both times, as a Markdown table; empty without any.
    pub(crate) fn compared_to(&self, tables: &[Table]) -> String {
        let rows = tables.iter().flat_map(|table| table.rows.iter().map(move |row| (table.title, row)));
        let compared: String = rows
            .filter_map(|(title, row)| {
                let before = self.0.get(&(title.to_owned(), row.what.clone()))?;
                let change = change(number(before)?, number(&row.figure)?)?;
                Some(format!("| {title}: {} | {before} | {} | {change:+.1} % |\n", row.what, row.figure))
            })
            .collect();
        if compared.is_empty() {
            return compared;
        }
        format!(
            "### Compared to before\n\nThe change is that of the first number.\n\n| what | before | now | change |\n|---|---|---|---|\n{compared}"
        )
    }
}

/// The first number in a figure.
fn number(figure: &str) -> Option<f64> {
    let from = figure.find(|letter: char| letter.is_ascii_digit())?;
    let rest = &figure[from..];
    let to = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
    rest[..to].trim_end_matches('.').parse().ok()
}

/// The change in percent; `None` if there was nothing before.
fn change(before: f64, now: f64) -> Option<f64> {
    (before != 0.0).then(|| (now / before - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_compared_to_itself_has_not_changed() {
        let mut table = Table::new("Scale", "How it was measured.");
        table.add("1 worker", "51.8 assets/s (49.4 to 53.3)");
        table.add("2 workers", "none");
        let same = Earlier::read(&table.to_string()).compared_to(std::slice::from_ref(&table));
        let figure = "51.8 assets/s (49.4 to 53.3)";
        assert!(same.ends_with(&format!("| Scale: 1 worker | {figure} | {figure} | +0.0 % |\n")), "{same}");
    }

    #[test]
    fn only_figures_of_both_times_are_compared_by_their_first_number() {
        let earlier = "### Scale\n\n| what | figure |\n|---|---|\n| 1 worker | 40 MiB | met |\n| 3 workers | 0 |\n\
                       ### Other\n\n| 2 workers | 1 |\n";
        let mut table = Table::new("Scale", "");
        for (what, figure) in [("1 worker", "at most 50 MiB"), ("2 workers", "5"), ("3 workers", "7")] {
            table.add(what, figure);
        }
        let compared = Earlier::read(earlier).compared_to(&[table]);
        let rows: Vec<_> = compared.lines().filter(|line| line.starts_with("| Scale")).collect();
        assert_eq!(rows, ["| Scale: 1 worker | 40 MiB | at most 50 MiB | +25.0 % |"]);
    }
}
