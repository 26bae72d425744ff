//! Cleans texts: outer space, full-width forms and invisible characters.
//!
//! In: a text as a department wrote it. Out: the same text in the one form that keys and codes have, borrowed when it
//! had that form already. Promise: two ids that look alike on screen because of width or invisible characters become
//! one; a control character is refused, never dropped, because it shows that something else is wrong.
//! Not here: personal data (`mask`), codes with a check character (`record::Uscc`).

use std::borrow::Cow;

/// Characters that cannot be seen and that copy and paste brings along: no-break spaces, zero-width and direction marks.
fn invisible(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202f}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// A full-width form as ASCII.
pub(super) fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

/// True when every character is printable ASCII or a space. Every byte is looked at: that takes no branch a byte.
pub(super) fn printable(text: &str) -> bool {
    text.bytes().fold(true, |so_far, b| so_far & (b.wrapping_sub(0x20) < 0x5f))
}

/// True when [`code`] would change nothing: printable ASCII without outer space, not empty.
pub(super) fn is_code(text: &str) -> bool {
    matches!(text.as_bytes(), [first, .., last] if *first != b' ' && *last != b' ') && printable(text)
}

/// An id, code, word or number in quotes: trimmed, full width to ASCII, invisible characters out. The flag says whether
/// more than outer space changed.
///
/// `None` when a control character is inside.
pub(super) fn code<'a>(text: Cow<'a, str>) -> Option<(Cow<'a, str>, bool)> {
    if printable(&text) {
        let trimmed = text.trim_ascii();
        if trimmed.len() == text.len() {
            return Some((text, false));
        }
        return Some((
            match text {
                Cow::Borrowed(t) => Cow::Borrowed(t.trim_ascii()),
                Cow::Owned(t) => Cow::Owned(t.trim_ascii().to_owned()),
            },
            false,
        ));
    }
    let cleaned: String = text.chars().filter(|c| !invisible(*c)).map(narrow).collect();
    let trimmed = cleaned.trim();
    if trimmed.chars().any(char::is_control) {
        return None;
    }
    if trimmed == text.as_ref() {
        return Some((text, false));
    }
    let changed = trimmed != text.trim();
    Some((Cow::Owned(trimmed.to_owned()), changed))
}

/// Free text: trimmed, invisible characters out; line breaks and tabs stay, Chinese punctuation keeps its width.
///
/// `None` when another control character is inside.
pub(super) fn prose<'a>(text: Cow<'a, str>) -> Option<(Cow<'a, str>, bool)> {
    let strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(strange) {
        return None;
    }
    if text.chars().any(invisible) {
        let cleaned: String = text.chars().filter(|c| !invisible(*c)).collect();
        return Some((Cow::Owned(cleaned.trim().to_owned()), true));
    }
    if text.trim().len() == text.len() {
        return Some((text, false));
    }
    Some((Cow::Owned(text.trim().to_owned()), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_look_alike_become_one() {
        for (text, expected) in [
            ("valve-12", Some(("valve-12", false))),
            ("  valve-12\t", Some(("valve-12", false))),
            ("valve\t12", None),
            ("  valve-12 ", Some(("valve-12", false))),
            ("valve\u{200b}-12", Some(("valve-12", true))),
            ("\u{feff}valve-12", Some(("valve-12", true))),
            ("valve-12\u{a0}", Some(("valve-12", false))),
            ("ｖａｌｖｅ－１２", Some(("valve-12", true))),
            ("阀门-12", Some(("阀门-12", false))),
            ("valve\u{0}12", None),
            ("阀门\u{1f}", None),
        ] {
            let found = code(Cow::Borrowed(text));
            assert_eq!(found.as_ref().map(|(t, c)| (t.as_ref(), *c)), expected, "{text:?}");
        }
    }

    #[test]
    fn prose_keeps_lines_and_punctuation() {
        for (text, expected) in [
            ("燃气泄漏,请处理。", Some("燃气泄漏,请处理。")),
            ("燃气泄漏,\n请处理", Some("燃气泄漏,\n请处理")),
            (" a\u{200b}b ", Some("ab")),
            ("a\u{8}b", None),
        ] {
            assert_eq!(prose(Cow::Borrowed(text)).as_ref().map(|(t, _)| t.as_ref()), expected, "{text:?}");
        }
    }
}
