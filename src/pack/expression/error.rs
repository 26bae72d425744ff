//! Why an expression does not compile, in both languages and with its place.

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// Stable code: `sql-syntax`, `sql-column`, `sql-function`, `sql-type`, `sql-limit`.
    pub code: &'static str,
    /// English.
    pub message: String,
    /// 中文
    pub message_zh: String,
    /// What to do.
    pub hint: Option<String>,
    /// Character offset and length inside the expression's text, when known.
    pub span: Option<(usize, usize)>,
}

/// Character offset and length in the text.
pub(super) type Place = Option<(usize, usize)>;

impl ExpressionError {
    pub(super) fn new(code: &'static str, en: impl Into<String>, zh: impl Into<String>, span: Place) -> Self {
        ExpressionError { code, message: en.into(), message_zh: zh.into(), hint: None, span }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        ExpressionError { hint: Some(hint.into()), ..self }
    }

    pub(super) fn limit(en: impl Into<String>, zh: impl Into<String>, span: Place) -> Self {
        ExpressionError::new("sql-limit", en, zh, span)
    }

    pub(super) fn syntax(en: impl Into<String>, zh: impl Into<String>, span: Place) -> Self {
        ExpressionError::new("sql-syntax", en, zh, span)
    }

    pub(super) fn ty(en: impl Into<String>, zh: impl Into<String>, span: Place) -> Self {
        ExpressionError::new("sql-type", en, zh, span)
    }
}

/// The known name that looks most like the unknown one, if any comes near.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let distance = strsim::osa_distance(unknown, name);
        // A third of the letters may differ: more is another word, not a slip.
        if distance <= name.chars().count().max(3) / 3 && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}
