//! Reads JSON text strictly, token by token, without building a tree.
//!
//! In: valid UTF-8. Out: tokens that borrow from it; a text is copied only when it holds escapes.
//! Promise: exactly RFC 8259, nothing more (no NaN, no leading zeros, no trailing comma, no control character inside a
//! string, no lone surrogate), numbers as they were written, so that money stays exact; at most [`DEPTH`] levels, so
//! that no input can exhaust the stack; the place of every element, so that one bad element can be stepped over.
//! Not here: what the values mean (`decode`). A general JSON library was not used because it gives neither the text of
//! numbers nor a way on after an error inside an array.

use std::borrow::Cow;

/// Deepest nesting that is read. Our records need four levels.
pub(super) const DEPTH: usize = 32;

/// Why a text is no JSON of ours. The words never hold a part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonError {
    /// Not JSON.
    Syntax(&'static str),
    /// Nested deeper than [`DEPTH`].
    Depth,
    /// A name twice in one object.
    Duplicate,
}

/// One value; of an object or array only the opening bracket has been read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'a str),
    Text(Cow<'a, str>),
    Object,
    Array,
}

/// A place in a text.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// How a value is written as compact JSON, and what came of it.
pub(super) struct Compact<'m> {
    /// Every text inside goes through this first (masking).
    pub(super) text: fn(&str) -> Option<String>,
    /// Members that objects may have; empty for all.
    pub(super) members: &'m [&'m str],
    pub(super) out: String,
    /// Names of members that were left out.
    pub(super) dropped: Vec<String>,
}

const END: JsonError = JsonError::Syntax("the text ends inside a value");

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes back, or forward, to a place that was read before.
    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn slice(&self, from: usize, to: usize) -> Result<&'a str, JsonError> {
        self.text.get(from..to).ok_or(JsonError::Syntax("a character is cut"))
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes().get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no white space, not consumed.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.space();
        self.bytes().get(self.at).copied()
    }

    /// True when only white space is left.
    pub(super) fn finished(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads one value, or the opening bracket of one.
    pub(super) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        match self.peek().ok_or(END)? {
            b'"' => {
                self.at += 1;
                self.string().map(Value::Text)
            }
            b'{' => {
                self.at += 1;
                Ok(Value::Object)
            }
            b'[' => {
                self.at += 1;
                Ok(Value::Array)
            }
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            b't' => self.word("true").map(|()| Value::Bool(true)),
            b'f' => self.word("false").map(|()| Value::Bool(false)),
            b'n' => self.word("null").map(|()| Value::Null),
            _ => Err(JsonError::Syntax("no JSON value begins so")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        let end = self.at + word.len();
        if self.bytes().get(self.at..end) != Some(word.as_bytes()) {
            return Err(JsonError::Syntax("an unknown word"));
        }
        self.at = end;
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while self.bytes().get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let from = self.at;
        if self.bytes().get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let leading_zero = self.bytes().get(self.at) == Some(&b'0');
        match self.digits() {
            0 => return Err(JsonError::Syntax("a sign without digits")),
            1 => {}
            _ if leading_zero => return Err(JsonError::Syntax("a number with leading zeros")),
            _ => {}
        }
        if self.bytes().get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(JsonError::Syntax("a point without digits"));
            }
        }
        if let Some(b'e' | b'E') = self.bytes().get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes().get(self.at) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(JsonError::Syntax("an exponent without digits"));
            }
        }
        self.slice(from, self.at)
    }

    /// Moves to the next quote, backslash or control character. Eight bytes at a time: most texts have none for long.
    fn plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let bytes = self.bytes();
        while let Some(Ok(chunk)) = bytes.get(self.at..self.at + 8).map(<[u8; 8]>::try_from) {
            let w = u64::from_le_bytes(chunk);
            let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
            let found = zero(w ^ (ONES * u64::from(b'"')))
                | zero(w ^ (ONES * u64::from(b'\\')))
                | (w.wrapping_sub(ONES * 0x20) & !w & HIGHS);
            if found != 0 {
                // The lowest mark is exact; carries only disturb the bytes above it.
                self.at += (found.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while let Some(&b) = bytes.get(self.at) {
            if b == b'"' || b == b'\\' || b < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    /// Reads a string whose opening quote has been consumed.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let from = self.at;
        self.plain();
        if self.bytes().get(self.at) == Some(&b'"') {
            let text = self.slice(from, self.at)?;
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut owned = String::from(self.slice(from, self.at)?);
        loop {
            let piece = self.at;
            self.plain();
            owned.push_str(self.slice(piece, self.at)?);
            match self.bytes().get(self.at).ok_or(END)? {
                b'"' => {
                    self.at += 1;
                    return Ok(Cow::Owned(owned));
                }
                b'\\' => {
                    self.at += 1;
                    owned.push(self.escape()?);
                }
                _ => return Err(JsonError::Syntax("a control character inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let b = *self.bytes().get(self.at).ok_or(END)?;
        self.at += 1;
        Ok(match b {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let lone = JsonError::Syntax("a lone surrogate");
                let high = self.hex()?;
                let code = match high {
                    0xd800..=0xdbff => {
                        if self.bytes().get(self.at..self.at + 2) != Some(b"\\u") {
                            return Err(lone);
                        }
                        self.at += 2;
                        let low = self.hex()?;
                        if !(0xdc00..=0xdfff).contains(&low) {
                            return Err(lone);
                        }
                        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                    }
                    other => other,
                };
                char::from_u32(code).ok_or(lone)?
            }
            _ => return Err(JsonError::Syntax("an unknown escape")),
        })
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.bytes().get(self.at..self.at + 4).ok_or(END)?;
        let mut code = 0;
        for &b in digits {
            let digit = char::from(b).to_digit(16).ok_or(JsonError::Syntax("an unknown escape"))?;
            code = code * 16 + digit;
        }
        self.at += 4;
        Ok(code)
    }

    /// Inside an object: reads the next name and its colon; `None` at the closing brace. `first` is true before the
    /// first name.
    pub(super) fn name(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>, JsonError> {
        match self.peek().ok_or(END)? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !*first => {
                self.at += 1;
                if self.peek() == Some(b'}') {
                    return Err(JsonError::Syntax("a trailing comma"));
                }
            }
            _ if *first => {}
            _ => return Err(JsonError::Syntax("no comma between members")),
        }
        *first = false;
        match self.peek().ok_or(END)? {
            b'"' => self.at += 1,
            _ => return Err(JsonError::Syntax("a name without double quotes")),
        }
        let name = self.string()?;
        match self.peek().ok_or(END)? {
            b':' => self.at += 1,
            _ => return Err(JsonError::Syntax("no colon after a name")),
        }
        Ok(Some(name))
    }

    /// Inside an object: steps over the next name and its colon when it is exactly this one; otherwise nothing is read.
    ///
    /// - `quoted`: the name with its quotes, without escapes
    pub(super) fn named(&mut self, first: &mut bool, quoted: &[u8]) -> bool {
        let from = self.at;
        if !*first {
            if self.peek() != Some(b',') {
                self.at = from;
                return false;
            }
            self.at += 1;
        }
        self.space();
        if self.bytes().get(self.at..).is_some_and(|rest| rest.starts_with(quoted)) {
            self.at += quoted.len();
            if self.peek() == Some(b':') {
                self.at += 1;
                *first = false;
                return true;
            }
        }
        self.at = from;
        false
    }

    /// Inside an array: true when another element stands next, false after the closing bracket was consumed.
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool, JsonError> {
        match self.peek().ok_or(END)? {
            b']' => {
                self.at += 1;
                return Ok(false);
            }
            b',' if !*first => {
                self.at += 1;
                if self.peek() == Some(b']') {
                    return Err(JsonError::Syntax("a trailing comma"));
                }
            }
            _ if *first => {}
            _ => return Err(JsonError::Syntax("no comma between elements")),
        }
        *first = false;
        Ok(true)
    }

    /// Steps over the rest of a value that [`Scanner::value`] began, checking it as strictly as one that is read.
    pub(super) fn skip_rest(&mut self, value: &Value<'_>, depth: usize) -> Result<(), JsonError> {
        match value {
            Value::Object | Value::Array if depth >= DEPTH => Err(JsonError::Depth),
            Value::Object => {
                let mut first = true;
                while self.name(&mut first)?.is_some() {
                    let inner = self.value()?;
                    self.skip_rest(&inner, depth + 1)?;
                }
                Ok(())
            }
            Value::Array => {
                let mut first = true;
                while self.element(&mut first)? {
                    let inner = self.value()?;
                    self.skip_rest(&inner, depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes a value as compact JSON. Names twice in one object are refused.
    pub(super) fn compact(&mut self, value: &Value<'a>, depth: usize, how: &mut Compact<'_>) -> Result<(), JsonError> {
        match value {
            Value::Null => how.out.push_str("null"),
            Value::Bool(true) => how.out.push_str("true"),
            Value::Bool(false) => how.out.push_str("false"),
            Value::Number(n) => how.out.push_str(n),
            Value::Text(t) => quote((how.text)(t).as_deref().unwrap_or(t), &mut how.out),
            Value::Object | Value::Array if depth >= DEPTH => return Err(JsonError::Depth),
            Value::Object => {
                how.out.push('{');
                let mut names: Vec<Cow<'a, str>> = Vec::new();
                let mut first = true;
                let mut written = 0;
                while let Some(name) = self.name(&mut first)? {
                    if names.contains(&name) {
                        return Err(JsonError::Duplicate);
                    }
                    let inner = self.value()?;
                    if how.members.is_empty() || how.members.contains(&name.as_ref()) {
                        if written > 0 {
                            how.out.push(',');
                        }
                        written += 1;
                        quote((how.text)(&name).as_deref().unwrap_or(&name), &mut how.out);
                        how.out.push(':');
                        self.compact(&inner, depth + 1, how)?;
                    } else {
                        self.skip_rest(&inner, depth + 1)?;
                        how.dropped.push(name.clone().into_owned());
                    }
                    names.push(name);
                }
                how.out.push('}');
            }
            Value::Array => {
                how.out.push('[');
                let mut first = true;
                let mut n = 0;
                while self.element(&mut first)? {
                    if n > 0 {
                        how.out.push(',');
                    }
                    n += 1;
                    let inner = self.value()?;
                    self.compact(&inner, depth + 1, how)?;
                }
                how.out.push(']');
            }
        }
        Ok(())
    }

    /// After an error inside an array element that begins at `from`: moves to the comma or bracket that ends it, by
    /// brackets and quotes alone. False when the text ends before.
    pub(super) fn recover(&mut self, from: usize) -> bool {
        self.at = from;
        let bytes = self.bytes();
        let mut depth = 0usize;
        let mut inside = false;
        while let Some(&b) = bytes.get(self.at) {
            if inside {
                match b {
                    b'\\' => self.at += 1,
                    b'"' => inside = false,
                    _ => {}
                }
            } else {
                match b {
                    b'"' => inside = true,
                    b'{' | b'[' => depth += 1,
                    b',' | b']' if depth == 0 => return true,
                    b'}' if depth == 0 => return false,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
            }
            self.at += 1;
        }
        false
    }
}

/// Appends a JSON string.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                out.push_str("\\u00");
                for shift in [4, 0] {
                    out.push(char::from_digit(u32::from(c) >> shift & 15, 16).unwrap_or('0'));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Result<String, JsonError> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        let mut how = Compact { text: |_| None, members: &[], out: String::new(), dropped: Vec::new() };
        scanner.compact(&value, 0, &mut how)?;
        if !scanner.finished() {
            return Err(JsonError::Syntax("more than one value"));
        }
        Ok(how.out)
    }

    proptest! {
        #[test]
        fn what_serde_json_refuses_is_refused_and_what_it_takes_reads_alike(
            text in r#"([\[\]{},:"\\u0-9eE+.\- ntfrdD8aA\n]|true|false|null|"a"|"b":|\\ud83d\\ude00|中){0,24}"#
        ) {
            let peer = serde_json::from_str::<serde_json::Value>(&text);
            match whole(&text) {
                Ok(compact) => {
                    // serde_json refuses numbers beyond f64, which are JSON all the same; columns refuse them later.
                    if let Ok(peer) = peer {
                        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&compact).unwrap(), peer);
                    } else {
                        prop_assert!(peer.unwrap_err().to_string().contains("number out of range"));
                    }
                }
                Err(JsonError::Duplicate) => {}
                Err(_) => prop_assert!(peer.is_err(), "{:?}", text),
            }
        }

        #[test]
        fn strings_of_any_length_end_where_serde_json_ends_them(text in ".{0,40}") {
            let quoted = serde_json::to_string(&text).unwrap();
            let mut scanner = Scanner::new(&quoted);
            prop_assert_eq!(scanner.value(), Ok(Value::Text(Cow::Owned(text))));
            prop_assert!(scanner.finished());
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_using_the_stack() {
        let deep = "[".repeat(20_000);
        assert_eq!(whole(&deep), Err(JsonError::Depth));
        let fits = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
        assert_eq!(whole(&fits).as_deref(), Ok(fits.as_str()));
    }
}
