//! 统一社会信用代码 (GB 32100-2015): the 18-character code of an enterprise, with its check character.

/// A valid, normalised code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uscc([u8; 18]);

/// Why a text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsccError {
    /// Not 18 characters after trimming.
    #[error("a unified social credit code has 18 characters")]
    Length,
    /// A character outside the alphabet (I, O, S, V, Z are not in it).
    #[error("a character is not in the alphabet of GB 32100-2015")]
    Alphabet,
    /// The check character does not fit.
    #[error("the check character does not fit")]
    Check,
}

impl Uscc {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
