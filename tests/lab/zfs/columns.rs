//! Tables as `zfs list` and `zfs get` print them.

/// Rows under titles; `right` says which columns are flush right. `bare` is -H: TABs and no titles.
pub fn table(titles: &[String], right: &[bool], rows: &[Vec<String>], bare: bool) -> String {
    let mut text = String::new();
    if bare {
        for row in rows {
            text += &row.join("\t");
            text.push('\n');
        }
        return text;
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.chain([titles[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    for row in std::iter::once(titles).chain(rows.iter().map(Vec::as_slice)) {
        for (column, cell) in row.iter().enumerate() {
            let (last, width) = (column + 1 == row.len(), widths[column]);
            match (right[column], last) {
                (true, _) => text += &format!("{cell:>width$}"),
                (false, true) => text += cell,
                (false, false) => text += &format!("{cell:<width$}"),
            }
            text += if last { "\n" } else { "  " };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_flush_right_and_the_last_column_is_not_padded() {
        let titles = ["NAME".to_owned(), "USED".into(), "MOUNTPOINT".into()];
        let rows =
            [vec!["p/x".to_owned(), "112K".into(), "/p/x".into()], vec!["p".into(), "0".into(), "-".into()]];
        let text = table(&titles, &[false, true, false], &rows, false);
        assert_eq!(text, "NAME  USED  MOUNTPOINT\np/x   112K  /p/x\np        0  -\n");
        assert_eq!(table(&titles, &[false, true, false], &rows[..1], true), "p/x\t112K\t/p/x\n");
    }
}
