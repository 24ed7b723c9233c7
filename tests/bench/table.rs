//! What a measurement tells: tables whose columns name their units, printed
//! aligned (and as such valid Markdown), or as JSON.

use std::fmt;

use serde_json::{Map, Value, json};

/// One table.
pub struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    notes: Vec<String>,
}

/// One field of a table.
pub enum Cell {
    /// Words.
    Text(String),
    /// A figure and how many decimals of it mean something.
    Number(f64, usize),
    /// Not measured here.
    Missing,
}

impl Table {
    /// An empty table. Column names end in their unit where they have one.
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a row: one cell a column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Says below the table what the figures are to be held against.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// For programs: rows as objects by column, figures unrounded.
    pub fn json(&self) -> Value {
        let row = |cells: &Vec<Cell>| {
            let fields = self.columns.iter().zip(cells);
            let fields = fields.map(|(name, cell)| ((*name).to_owned(), cell.json()));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        json!({
            "title": self.title,
            "columns": self.columns,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
            Self::Missing => Value::Null,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number, decimals) => f.write_str(&grouped(*number, *decimals)),
            Self::Missing => f.write_str("-"),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(ToString::to_string).collect())
            .collect();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(column, name)| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| cell.chars().count()).max();
                // Three is what a Markdown rule needs.
                widest.unwrap_or(0).max(name.chars().count()).max(3)
            })
            .collect();
        let names: Vec<String> = self.columns.iter().map(|&name| name.to_owned()).collect();
        line(f, &names, &widths)?;
        let rule = |(column, width): (usize, &usize)| match column {
            0 => "-".repeat(*width),
            _ => format!("{}:", "-".repeat(width - 1)),
        };
        let rules: Vec<String> = widths.iter().enumerate().map(rule).collect();
        line(f, &rules, &widths)?;
        for row in &rows {
            line(f, row, &widths)?;
        }
        for note in &self.notes {
            write!(f, "\n{note}")?;
        }
        Ok(())
    }
}

/// The first column to the left, figures to the right.
fn line(f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        match column {
            0 => write!(f, "| {cell:<width$} |")?,
            _ => write!(f, " {cell:>width$} |")?,
        }
    }
    writeln!(f)
}

/// A figure with its thousands set apart: `12,345.6`.
fn grouped(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = whole.chars().count();
    let mut out = String::with_capacity(text.len() + digits / 3);
    for (place, digit) in whole.chars().enumerate() {
        let left = digits - place;
        if place > 0 && left.is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_markdown() {
        let mut table = Table::new("Two ways", &["", "req/s", "p99 µs"]);
        table.row([
            Cell::text("direct"),
            Cell::Number(1_234_567.8, 0),
            Cell::Missing,
        ]);
        table.row([
            Cell::text("hop"),
            Cell::Number(-999.96, 1),
            Cell::Number(0.5, 2),
        ]);
        table.note("Lower is better.");
        assert_eq!(
            table.to_string(),
            "### Two ways\n\n\
             |        |     req/s | p99 µs |\n\
             | ------ | --------: | -----: |\n\
             | direct | 1,234,568 |      - |\n\
             | hop    |  -1,000.0 |   0.50 |\n\
             \nLower is better."
        );
    }

    #[test]
    fn programs_get_figures_unrounded_and_what_is_missing_as_null() {
        let mut table = Table::new("t", &["a", "b"]);
        table.row([Cell::Number(1.25, 0), Cell::Missing]);
        assert_eq!(table.json()["rows"], json!([{"a": 1.25, "b": null}]));
    }
}
