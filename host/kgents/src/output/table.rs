//! Aligned columns.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::style::{Style, safe};

/// Blanks between columns.
const GAP: usize = 2;
/// The last column is never cut below this, however narrow the terminal.
const LAST_COLUMN_MIN: usize = 16;

/// Draws a table: a dim head, a line for each row, columns as wide as their
/// widest cell. `paint` colours a finished cell by row and column. The last
/// column is cut to `columns`, if there is such a limit.
pub fn table(
    style: &Style,
    columns: Option<usize>,
    head: &[&str],
    rows: &[Vec<String>],
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell)).collect())
        .collect();
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width());
            cells.chain([title.width()]).max().unwrap_or(0)
        })
        .collect();
    let before_last: usize = widths
        .iter()
        .take(head.len().saturating_sub(1))
        .map(|width| width + GAP)
        .sum();
    let last_max = columns.map(|all| all.saturating_sub(before_last).max(LAST_COLUMN_MIN));
    let line = |cells: Vec<(String, usize)>| {
        let count = cells.len();
        let mut text = String::new();
        for (column, (painted, width)) in cells.into_iter().enumerate() {
            text.push_str(&painted);
            if column + 1 < count {
                let wide = widths.get(column).copied().unwrap_or(0);
                text.push_str(&" ".repeat(wide.saturating_sub(width) + GAP));
            }
        }
        text
    };
    let mut lines = vec![line(
        head.iter()
            .map(|title| (style.dim(title), title.width()))
            .collect(),
    )];
    for (row, cells) in rows.iter().enumerate() {
        let last = cells.len().saturating_sub(1);
        let cells = cells.iter().enumerate().map(|(column, cell)| {
            let cell = match last_max {
                Some(most) if column == last => cut(cell, most),
                _ => cell.clone(),
            };
            (paint(row, column, &cell), cell.width())
        });
        lines.push(line(cells.collect()));
    }
    let trimmed: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    trimmed.join("\n")
}

/// A cell on one line, without what would move the cursor.
fn one_line(cell: &str) -> String {
    safe(cell).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text of at most so many columns, with `…` where something is missing.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut width = 1;
    let mut kept = String::new();
    for letter in text.chars() {
        width += letter.width().unwrap_or(0);
        if width > columns {
            break;
        }
        kept.push(letter);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(columns: Option<usize>, rows: &[&[&str]]) -> String {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(ToString::to_string).collect())
            .collect();
        table(
            &Style::plain(),
            columns,
            &["NAME", "WHAT"],
            &rows,
            |_, _, cell| cell.to_owned(),
        )
    }

    #[test]
    fn columns_line_up_whatever_the_letters() {
        assert_eq!(
            draw(None, &[&["a", "one"], &["日本語", "two\nlines"]]),
            "NAME    WHAT\na       one\n日本語  two lines"
        );
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        assert_eq!(
            draw(Some(22), &[&["a", "one two three four five"]]),
            "NAME  WHAT\na     one two three f…"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(cells in proptest::collection::vec("\\PC{0,40}", 0..5), columns in 30usize..60) {
            let rows: Vec<Vec<String>> = cells.into_iter().map(|cell| vec!["name".to_owned(), cell]).collect();
            let drawn = table(&Style::plain(), Some(columns), &["NAME", "WHAT"], &rows, |_, _, cell| cell.to_owned());
            for line in drawn.lines() {
                prop_assert!(line.width() <= columns, "{line:?}");
            }
        }
    }
}
