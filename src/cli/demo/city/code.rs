//! Credit codes that are right in form and belong to nobody.
//!
//! The body is `MA0` + five digits + its own check character: no registry of Shandong issues bodies from `MA000000` on
//! under a region of 3711, so a generated code can never be a real subject's.
//!
//! # Source
//! GB 32100-2015 (weights 3^(i-1) mod 31, 31 characters); GB 11714-1997 for the ninth character of the body.

const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

fn body_check(body: &str) -> char {
    let sum: u32 =
        body.chars().zip([3, 7, 9, 10, 5, 8, 4, 2]).map(|(c, weight)| c.to_digit(36).unwrap_or(0) * weight).sum();
    match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        k => char::from_digit(k, 10).unwrap_or('0'),
    }
}

/// The check character of the first 17 characters; `None` when one is not in the alphabet.
fn check(first: &str) -> Option<char> {
    let (mut sum, mut weight) = (0usize, 1usize);
    for c in first.bytes() {
        sum += ALPHABET.iter().position(|a| *a == c)? * weight % 31;
        weight = weight * 3 % 31;
    }
    ALPHABET.get((31 - sum % 31) % 31).map(|c| char::from(*c))
}

/// A code of an enterprise (`91`) or a self-employed (`92`) of a region, with both check characters right.
///
/// - `serial`: up to 99,999; higher ones begin anew
#[must_use]
pub(crate) fn uscc(form: &str, region: &str, serial: u32) -> String {
    let body = format!("MA0{:05}", serial % 100_000);
    let first = format!("{form}{region}{body}{}", body_check(&body));
    let last = check(&first).expect("digits, M, A and X are in the alphabet");
    format!("{first}{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_codes_have_the_check_characters_that_are_computed() {
        for (first, expected) in [("11371100004220756", 'B'), ("91350100M000100Y4", '3'), ("91371102MA0000015", 'N')] {
            assert_eq!(check(first), Some(expected), "{first}");
        }
        assert_eq!(body_check("00422075"), '6');
        assert_eq!(check("I1371100004220756"), None);
    }

    #[test]
    fn a_generated_code_is_right_and_stands_in_the_unissued_range() {
        for serial in 0..2_000 {
            let code = uscc("92", "371121", serial);
            assert_eq!(code.len(), 18);
            let (first, last) = code.split_at(17);
            assert_eq!(check(first), last.chars().next(), "{code}");
            assert!(code.starts_with("92371121MA00"), "{code}");
        }
        assert_eq!(uscc("91", "371102", 1), "91371102MA0000015N");
    }
}
