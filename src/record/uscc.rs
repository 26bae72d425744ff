//! 统一社会信用代码 (GB 32100-2015): the 18-character code of an enterprise, with its check character.

use std::str::FromStr;

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

/// The alphabet; a character's value is its place.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// 3^(i-1) mod 31.
const WEIGHTS: [u16; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

/// Value of a byte, 255 for what is not in the alphabet.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

impl Uscc {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The check character that belongs to the first 17 characters of a code.
    ///
    /// # Errors
    /// [`UsccError`] when there are not 17 characters or one is not in the alphabet.
    pub fn check_character(body: &[u8]) -> Result<u8, UsccError> {
        if body.len() != 17 {
            return Err(UsccError::Length);
        }
        let mut sum = 0u16;
        for (b, weight) in body.iter().zip(WEIGHTS) {
            match VALUES[usize::from(*b)] {
                255 => return Err(UsccError::Alphabet),
                value => sum += u16::from(value) * weight,
            }
        }
        Ok(ALPHABET[usize::from((31 - sum % 31) % 31)])
    }
}

impl FromStr for Uscc {
    type Err = UsccError;

    /// Reads a code as people write it: outer space is trimmed, full width becomes ASCII, lower case becomes upper
    /// case. I, O, S, V and Z are never "repaired": the repaired code could be another enterprise.
    fn from_str(text: &str) -> Result<Uscc, UsccError> {
        let mut code = [0u8; 18];
        let mut n = 0;
        for c in text.trim().chars() {
            let c = match c {
                '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
                _ => c,
            };
            let slot = code.get_mut(n).ok_or(UsccError::Length)?;
            // 0 is in nobody's alphabet, so a character that is not ASCII is refused as such when the length fits.
            *slot = u8::try_from(c).map_or(0, |b| b.to_ascii_uppercase());
            n += 1;
        }
        if n != 18 {
            return Err(UsccError::Length);
        }
        if code.iter().any(|b| VALUES[usize::from(*b)] == 255) {
            return Err(UsccError::Alphabet);
        }
        if Uscc::check_character(&code[..17])? != code[17] {
            return Err(UsccError::Check);
        }
        Ok(Uscc(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_examples_of_the_handbook_hold() {
        for (text, expected) in [
            ("11371100004220756B", Ok("11371100004220756B")),
            ("91371102MA0000015N", Ok("91371102MA0000015N")),
            (" 91371102ma0000015n ", Ok("91371102MA0000015N")),
            ("９１３７１１０２ＭＡ００００００１５Ｎ", Err(UsccError::Length)),
            ("９１３７１１０２ＭＡ０００００１５Ｎ", Ok("91371102MA0000015N")),
            ("91350100M000100Y4Z", Err(UsccError::Alphabet)),
            ("91350100M000100Y43", Ok("91350100M000100Y43")),
            ("91350100M000100Y44", Err(UsccError::Check)),
            ("9137I102MA0000015N", Err(UsccError::Alphabet)),
            ("91371102MAO000015N", Err(UsccError::Alphabet)),
            ("91371102MA000001N", Err(UsccError::Length)),
            ("91371102MA00000015N", Err(UsccError::Length)),
            ("91371102MA中000015N", Err(UsccError::Alphabet)),
            ("", Err(UsccError::Length)),
        ] {
            let found = text.parse::<Uscc>();
            assert_eq!(found.as_ref().map(Uscc::as_str).map_err(|e| *e), expected, "{text}");
        }
    }

    #[test]
    fn every_single_wrong_character_is_found() {
        let code = *b"91371102MA0000015N";
        for i in 0..18 {
            for other in ALPHABET {
                let mut changed = code;
                changed[i] = *other;
                let text = std::str::from_utf8(&changed).unwrap();
                assert_eq!(text.parse::<Uscc>().is_ok(), changed == code, "{text}");
            }
        }
    }
}
