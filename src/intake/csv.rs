//! Cuts CSV into rows and fields (RFC 4180), strictly, keeping the byte position of every row.
//!
//! In: bytes of a file, in pieces. Out: where each row ends; its fields as text. Promise: a row is found in the bytes
//! as they stand in the file, so that a dead letter can point at them, whatever the charset; a quote that nobody closes
//! costs one row, not the rest of the file. Not here: what the fields mean (`decode`).

use super::decode::Fault;
use std::borrow::Cow;

/// What stands at a place of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// A row that ends before this byte (its line break included).
    Row(usize),
    /// More bytes are needed.
    More,
    /// A quote is not closed within the longest row; the next line begins at this byte.
    Open(usize),
}

/// Finds the end of the row that begins at `from`. `wide` when bytes from 0x81 on begin characters of two bytes (GBK),
/// whose second byte may look like a delimiter.
pub(super) fn row_end(bytes: &[u8], from: usize, delimiter: u8, wide: bool, longest: usize, last: bool) -> Found {
    let mut quoted = false;
    let mut field_start = true;
    let mut at = from;
    while let Some(&b) = bytes.get(at) {
        if quoted {
            if b == b'"' {
                if bytes.get(at + 1) == Some(&b'"') {
                    at += 1;
                } else {
                    quoted = false;
                }
            }
        } else if b == b'\n' {
            return Found::Row(at + 1);
        } else if b == b'"' && field_start {
            quoted = true;
        }
        field_start = !quoted && b == delimiter;
        at += if wide && b >= 0x81 { 2 } else { 1 };
        if at - from > longest {
            break;
        }
    }
    if at - from > longest || (last && quoted) {
        let line = bytes.get(from..).unwrap_or_default().iter().position(|b| *b == b'\n');
        return match line {
            Some(n) => Found::Open(from + n + 1),
            None if last => Found::Open(bytes.len()),
            None => Found::More,
        };
    }
    if last { Found::Row(bytes.len()) } else { Found::More }
}

/// Splits a row, its line break cut off, into fields.
pub(super) fn fields(row: &str, delimiter: char) -> Result<Vec<Cow<'_, str>>, Fault> {
    let mut found = Vec::new();
    let mut rest = row;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field: Cow<'_, str> = Cow::Borrowed("");
            let mut inner = quoted;
            let after = loop {
                let Some((part, after)) = inner.split_once('"') else {
                    return Err(Fault::new("csv", "a quote is not closed"));
                };
                if field.is_empty() && !after.starts_with('"') {
                    field = Cow::Borrowed(part);
                    break after;
                }
                field.to_mut().push_str(part);
                match after.strip_prefix('"') {
                    Some(next) => {
                        field.to_mut().push('"');
                        inner = next;
                    }
                    None => break after,
                }
            };
            found.push(field);
            if after.is_empty() {
                return Ok(found);
            }
            rest = after.strip_prefix(delimiter).ok_or(Fault::new("csv", "text behind a closing quote"))?;
        } else {
            match rest.split_once(delimiter) {
                Some((field, after)) => {
                    found.push(Cow::Borrowed(field));
                    rest = after;
                }
                None => {
                    found.push(Cow::Borrowed(rest));
                    return Ok(found);
                }
            }
        }
    }
}

/// A whole table in memory: its rows, the header first; empty lines are none.
///
/// # Errors
/// The number of the first line of a row that is no CSV.
pub(crate) fn table(text: &str) -> Result<Vec<Vec<String>>, usize> {
    let (mut rows, mut from, mut line) = (Vec::new(), 0, 1);
    while let Some(rest) = text.get(from..).filter(|r| !r.is_empty()) {
        let Found::Row(end) = row_end(text.as_bytes(), from, b',', false, text.len(), true) else { return Err(line) };
        let row = text.get(from..end).unwrap_or(rest);
        let trimmed = row.trim_end_matches(['\r', '\n']);
        if !trimmed.is_empty() {
            let fields = fields(trimmed, ',').map_err(|_| line)?;
            rows.push(fields.into_iter().map(Cow::into_owned).collect());
        }
        line += row.matches('\n').count();
        from = end;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_rows_or_the_line_of_its_fault() {
        let rows = table("a,b\r\n1,\"x\ny\"\n\n2,z").unwrap();
        assert_eq!(rows, [["a", "b"], ["1", "x\ny"], ["2", "z"]]);
        assert_eq!(table("a,b\n1,\"x\n2,z\n"), Err(2));
    }

    #[test]
    fn rows_split_as_rfc_4180_says() {
        for (row, expected) in [
            ("a,b,c", Some(vec!["a", "b", "c"])),
            ("a,,", Some(vec!["a", "", ""])),
            ("", Some(vec![""])),
            (r#""a,b",c"#, Some(vec!["a,b", "c"])),
            (r#""say ""hi""",c"#, Some(vec![r#"say "hi""#, "c"])),
            (r#""""",c"#, Some(vec![r#"""#, "c"])),
            (r#""",c"#, Some(vec!["", "c"])),
            (r#""a,c"#, None),
            (r#""a"",c"#, None),
            (r#""a"b,c"#, None),
            (r#"5" pipe,c"#, Some(vec![r#"5" pipe"#, "c"])),
            ("\"two\nlines\",c", Some(vec!["two\nlines", "c"])),
        ] {
            let found = fields(row, ',').ok();
            let found = found.as_ref().map(|f| f.iter().map(AsRef::as_ref).collect::<Vec<_>>());
            assert_eq!(found, expected, "{row:?}");
        }
    }

    #[test]
    fn an_unclosed_quote_costs_one_row() {
        let bytes = b"a,\"b\nc,d\ne,f\n";
        assert_eq!(row_end(bytes, 0, b',', false, 6, false), Found::Open(5));
        assert_eq!(row_end(bytes, 0, b',', false, 100, false), Found::More);
        assert_eq!(row_end(bytes, 0, b',', false, 100, true), Found::Open(5));
        assert_eq!(row_end(bytes, 5, b',', false, 100, false), Found::Row(9));
    }
}
