//! Takes personal data out of rows, before any log, state, metric or trace sees them.
//!
//! In: texts. Out: keyed hashes for person columns; free text with identity numbers, mobile and landline numbers, bank
//! cards, e-mail addresses and plate numbers replaced by their display forms (handbook, section 8).
//! Promise: a hash is HMAC-SHA256 over the normalised value with the deployment's secret, never a plain hash (identity
//! numbers are few enough to try them all), never shortened.
//! Not here: which columns are personal (source files say so), who may see what (`response`, `console`).

use super::text::narrow;
use crate::record::{Personal, Uscc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Hashes and masks with the secret of the deployment.
#[derive(Clone)]
pub(super) struct Mask {
    keyed: Hmac<Sha256>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    pub(super) fn new(secret: &[u8]) -> Mask {
        Mask { keyed: Hmac::new_from_slice(secret).expect("HMAC takes a key of any length") }
    }

    /// The keyed hash of a person column, 64 hexadecimal digits. One person written in two ways gives one hash: width,
    /// case, spaces and the country prefix of telephone numbers do not count.
    pub(super) fn hash(&self, text: &str, personal: Personal) -> String {
        let narrowed = text.chars().map(narrow).filter(|c| !c.is_whitespace() && !c.is_control());
        let normal: String = match personal {
            Personal::Id => narrowed.map(|c| c.to_ascii_uppercase()).collect(),
            Personal::Phone => {
                let digits: String = narrowed.filter(char::is_ascii_digit).collect();
                match digits.strip_prefix("86") {
                    Some(rest) if rest.len() == 11 => rest.to_owned(),
                    _ => digits,
                }
            }
            Personal::None | Personal::Name | Personal::Text => narrowed.collect(),
        };
        let mut mac = self.keyed.clone();
        mac.update(normal.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let mut hex = String::with_capacity(64);
        for b in bytes {
            for shift in [4, 0] {
                hex.push(char::from_digit(u32::from(b >> shift & 15), 16).unwrap_or('0'));
            }
        }
        hex
    }
}

/// Tells one secret from another and says nothing about it: kept beside a log, whose persons have the pseudonyms of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Fingerprint {
        let mut mac = Mask::new(secret).keyed;
        mac.update(b"forewarn: which secret is this");
        let bytes = mac.finalize().into_bytes();
        Fingerprint(bytes.iter().take(8).fold(0, |all, b| all << 8 | u64::from(*b)))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Fingerprint, std::num::ParseIntError> {
        u64::from_str_radix(text.trim(), 16).map(Fingerprint)
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Fingerprint, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The check of GB 11643-1999 over 18 characters, and a day of birth that can be.
fn is_person_id(id: &[char]) -> bool {
    looks_like_person_id(id).is_some_and(|right| right)
}

/// 18 characters that have the form of an identity number with a day of birth that can be, and whether the check
/// character is right. In free text one that was mistyped tells nearly as much as a right one.
fn looks_like_person_id(id: &[char]) -> Option<bool> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECK: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let [body @ .., last] = id else { return None };
    if body.len() != 17 || body.first() == Some(&'0') || !(last.is_ascii_digit() || matches!(last, 'x' | 'X')) {
        return None;
    }
    let mut sum = 0;
    for (c, weight) in body.iter().zip(WEIGHTS) {
        match c.to_digit(10) {
            Some(d) => sum += d * weight,
            None => return None,
        }
    }
    let part = |from: usize, to: usize| body[from..to].iter().filter_map(|c| c.to_digit(10)).fold(0, |n, d| n * 10 + d);
    let (century, month, day) = (part(6, 8), part(10, 12), part(12, 14));
    (matches!(century, 19 | 20) && (1..=12).contains(&month) && (1..=31).contains(&day))
        .then(|| CHECK[(sum % 11) as usize] == last.to_ascii_uppercase())
}

/// An identity number in free text, whatever its check character; a code of an enterprise is none.
fn is_person_id_in_text(id: &[char]) -> bool {
    looks_like_person_id(id).is_some_and(|right| right || id.iter().collect::<String>().parse::<Uscc>().is_err())
}

/// The 15 digits of identity numbers before 1999: area, day of birth with two digits of the year, serial.
fn is_old_person_id(digits: &[char]) -> bool {
    let part =
        |from: usize, to: usize| digits[from..to].iter().filter_map(|c| c.to_digit(10)).fold(0, |n, d| n * 10 + d);
    digits.len() == 15
        && (11..=65).contains(&part(0, 2))
        && (1..=12).contains(&part(8, 10))
        && (1..=31).contains(&part(10, 12))
}

fn is_mobile(digits: &[char]) -> bool {
    digits.len() == 11 && digits[0] == '1' && ('3'..='9').contains(&digits[1])
}

/// Lengths of area code and subscriber's number: 010 and 02x have eight digits behind them, 0xxx seven or eight. No
/// subscriber's number begins with 0 or 1: those are services.
fn landline(digits: &[char]) -> Option<(usize, usize)> {
    let area = match digits {
        ['0', '1', '0', ..] | ['0', '2', ..] => 3,
        ['0', '3'..='9', ..] => 4,
        _ => return None,
    };
    let own = digits.len().checked_sub(area)?;
    let length = if area == 3 { own == 8 } else { matches!(own, 7 | 8) };
    (length && ('2'..='9').contains(digits.get(area)?)).then_some((area, own))
}

/// The area code stays, and the last digits of the number.
fn landline_form(digits: &[char], area: usize) -> String {
    let (head, tail): (String, String) = (digits[..area].iter().collect(), digits[area + 4..].iter().collect());
    format!("{head}-****{tail}")
}

/// 16 to 19 digits with the check digit of ISO/IEC 7812 (Luhn).
fn is_card(digits: &[char]) -> bool {
    if !(16..=19).contains(&digits.len()) || digits[0] == '0' {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, c)| {
            let d = c.to_digit(10).unwrap_or(0) * if i % 2 == 1 { 2 } else { 1 };
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// True when a text holds an 18-digit identity number with a right check character.
pub(super) fn holds_person_id(text: &str) -> bool {
    if text.len() < 18 || text.bytes().filter(u8::is_ascii_digit).count() < 17 {
        return false;
    }
    let chars: Vec<char> = text.chars().collect();
    chars.windows(18).any(is_person_id)
}

const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

/// Length of a plate number at the front, 0 when there is none.
fn plate(chars: &[char]) -> usize {
    let [province, letter, rest @ ..] = chars else { return 0 };
    if !PROVINCES.contains(*province) || !letter.is_ascii_uppercase() || matches!(letter, 'I' | 'O') {
        return 0;
    }
    let dot = usize::from(matches!(rest.first(), Some('·' | '•' | '.' | '-' | ' ')));
    let serial = |c: &&char| c.is_ascii_digit() || (c.is_ascii_uppercase() && !matches!(c, 'I' | 'O'));
    let mut n = rest[dot..].iter().take_while(serial).count();
    if !(4..=6).contains(&n) {
        return 0;
    }
    if n == 4 && !matches!(rest.get(dot + n), Some('挂' | '学' | '警' | '港' | '澳' | '领' | '使')) {
        return 0;
    }
    if n == 4 {
        n += 1;
    }
    // A serial is 5 (or, for new-energy cars, 6) characters of which at least two are digits: "新A类ABCDE" is none.
    if rest[dot..dot + n].iter().filter(|c| c.is_ascii_digit()).count() < 2 {
        return 0;
    }
    2 + dot + n
}

/// Stands between the groups of a number as people write it.
fn between(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '/' | '_' | ')' | '\u{2010}'..='\u{2015}')
}

/// A digit run, single separators inside allowed: (digits, groups, end).
fn run(chars: &[char]) -> (Vec<char>, Vec<usize>, usize) {
    let (mut digits, mut groups, mut group, mut end) = (Vec::new(), Vec::new(), 0, 0);
    let mut i = 0;
    while let Some(c) = chars.get(i) {
        if c.is_ascii_digit() {
            digits.push(*c);
            group += 1;
            end = i + 1;
        } else if between(*c) && chars.get(i + 1).is_some_and(char::is_ascii_digit) && group > 0 {
            groups.push(group);
            group = 0;
        } else {
            break;
        }
        i += 1;
    }
    groups.push(group);
    (digits, groups, end)
}

/// Free text with personal data replaced by display forms; `None` when there is none in it.
pub(super) fn mask_text(text: &str) -> Option<String> {
    // Everything looked for has an @ or at least four digits; most texts have neither and are left alone quickly.
    let digits = text.chars().filter(|c| narrow(*c).is_ascii_digit()).take(2).count();
    if digits < 2 && !text.contains(['@', '\u{ff20}']) {
        return None;
    }
    // A keyed hash is 64 hexadecimal digits, and some hold eleven decimal ones in a row.
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let original: Vec<char> = text.chars().collect();
    let chars: Vec<char> = original.iter().map(|c| narrow(*c)).collect();
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    let mut i = 0;
    while i < chars.len() {
        let starts_run = chars[i].is_ascii_digit() && (i == 0 || !chars[i - 1].is_ascii_digit());
        if starts_run && let Some((mask, length)) = mask_run(&chars, i) {
            out.push_str(&mask);
            i += length;
            changed = true;
            continue;
        }
        // Windows inside a longer run: an identity number may follow other digits.
        if chars[i].is_ascii_digit() && chars.len() - i >= 18 && is_person_id(&chars[i..i + 18]) {
            // Other digits before it: only a right check character tells it from a long number.
            out.push_str(&person_form(&chars[i..i + 18]));
            i += 18;
            changed = true;
            continue;
        }
        let plate_length = plate(&chars[i..]);
        if plate_length > 0 {
            out.extend(&chars[i..i + 2]);
            out.push_str("*****");
            i += plate_length;
            changed = true;
            continue;
        }
        if chars[i] == '@' {
            let local = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '%');
            let before = chars[..i].iter().rev().take_while(|c| local(c)).count();
            let after =
                chars[i + 1..].iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).count();
            if before > 0 && chars[i + 1..i + 1 + after].contains(&'.') {
                for _ in 0..before {
                    out.pop();
                }
                out.push_str("***@***");
                i += 1 + after;
                changed = true;
                continue;
            }
        }
        out.push(original[i]);
        i += 1;
    }
    changed.then_some(out)
}

fn person_form(id: &[char]) -> String {
    // The handbook's form, whatever the length: three digits of the area, stars, the last two.
    let head: String = id[..3].iter().collect();
    let tail: String = id[16..].iter().collect();
    format!("{head}***********{tail}")
}

/// Digits of a subscriber's number from its groups; an extension may follow.
fn grouped(groups: &[usize]) -> Option<usize> {
    match groups {
        [own @ (7 | 8)] | [own @ (7 | 8), 1..=5] => Some(*own),
        [a @ (3 | 4), 4] | [a @ (3 | 4), 4, 1..=5] => Some(a + 4),
        _ => None,
    }
}

/// The display form of a digit run that begins at `i`, and how many characters it stands for.
fn mask_run(chars: &[char], i: usize) -> Option<(String, usize)> {
    let solid = chars[i..].iter().take_while(|c| c.is_ascii_digit()).count();
    let plain = &chars[i..i + solid];
    // With more digits behind it only a right check character tells it from a long number.
    let after = chars.get(i + 18).is_some_and(char::is_ascii_digit);
    if let Some(id) = chars.get(i..i + 18)
        && (if after { is_person_id(id) } else { is_person_id_in_text(id) })
    {
        return Some((person_form(id), 18));
    }
    if is_old_person_id(plain) {
        let (head, tail): (String, String) = (plain[..3].iter().collect(), plain[13..].iter().collect());
        return Some((format!("{head}**********{tail}"), solid));
    }
    if is_card(plain) {
        let code: String = plain.iter().collect();
        // A code of digits alone may satisfy both checks; enterprises are not persons.
        if code.parse::<Uscc>().is_ok() {
            return None;
        }
        let tail: String = plain[solid - 4..].iter().collect();
        return Some((format!("************{tail}"), solid));
    }
    let phone = |digits: &[char]| {
        let head: String = digits[..3].iter().collect();
        let tail: String = digits[7..].iter().collect();
        format!("{head}****{tail}")
    };
    if is_mobile(plain) {
        return Some((phone(plain), solid));
    }
    if solid == 13 && plain[..2] == ['8', '6'] && is_mobile(&plain[2..]) {
        return Some((format!("86{}", phone(&plain[2..])), solid));
    }
    if let Some((area, _)) = landline(plain) {
        return Some((landline_form(plain, area), solid));
    }
    let (mut digits, mut groups, mut length) = run(&chars[i..]);
    // An identity number may end with an X.
    if digits.len() == 17 && matches!(chars.get(i + length), Some('x' | 'X')) {
        digits.push('X');
        length += 1;
        if let Some(last) = groups.last_mut() {
            *last += 1;
        }
    }
    match groups.as_slice() {
        [6, ..] if groups.len() <= 4 && is_person_id_in_text(&digits) => Some((person_form(&digits), length)),
        [3, 4, 4] | [3, 8] | [7, 4] if is_mobile(&digits) => Some((phone(&digits), length)),
        [2, 3, 4, 4] | [2, 3, 8] | [2, 7, 4] | [2, 11] if digits[..2] == ['8', '6'] && is_mobile(&digits[2..]) => {
            Some((format!("86 {}", phone(&digits[2..])), length))
        }
        // Area code, number in one or two groups, extension; or the country first and the area code without its 0.
        [area, rest @ ..]
            if digits[0] == '0'
                && grouped(rest).is_some_and(|own| landline(&digits[..area + own]) == Some((*area, own))) =>
        {
            Some((landline_form(&digits[..area + grouped(rest)?], *area), length))
        }
        [2, area @ (2 | 3), rest @ ..] if digits[..2] == ['8', '6'] => {
            let own = grouped(rest)?;
            let whole: Vec<char> = std::iter::once('0').chain(digits[2..2 + area + own].iter().copied()).collect();
            landline(&whole)
                .filter(|found| *found == (area + 1, own))
                .map(|(area, _)| (format!("86 {}", landline_form(&whole, area)), length))
        }
        [4, 4, 4, 4] | [4, 4, 4, 4, 1..=3] if is_card(&digits) => {
            let tail: String = digits[digits.len() - 4..].iter().collect();
            Some((format!("************{tail}"), length))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An identity number with a right check character, of a region that does not exist.
    fn person() -> String {
        let body = "99000019900307123";
        let id: Vec<char> = "0123456789X"
            .chars()
            .map(|last| body.chars().chain([last]).collect::<Vec<char>>())
            .find(|id| is_person_id(id))
            .unwrap();
        id.into_iter().collect()
    }

    #[test]
    fn personal_data_in_free_text_gets_its_display_form() {
        let id = person();
        let masked_id = format!("990***********{}", id.chars().skip(16).collect::<String>());
        let mut wrong = id.clone();
        let last = wrong.pop().unwrap();
        wrong.push(if last == '1' { '2' } else { '1' });
        let wide: String = id.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
        for (text, expected) in [
            (format!("身份证{id}的住户"), Some(format!("身份证{masked_id}的住户"))),
            (format!("身份证{wide}的住户"), Some(format!("身份证{masked_id}的住户"))),
            (format!("77{id}"), Some(format!("77{masked_id}"))),
            (format!("编号{wrong}"), Some(format!("编号990***********{}", wrong.chars().skip(16).collect::<String>()))),
            ("370101 19900307 4512".into(), Some("370***********12".into())),
            ("370101-19900307-451X".into(), Some("370***********1X".into())),
            ("旧证370101900307451号".into(), Some("旧证370**********51号".into())),
            ("138 12345678".into(), Some("138****5678".into())),
            ("1381234 5678".into(), Some("138****5678".into())),
            ("(138)12345678".into(), Some("(138****5678".into())),
            (
                "138.1234.5678、138/1234/5678、138–1234–5678".into(),
                Some("138****5678、138****5678、138****5678".into()),
            ),
            ("2026.11.29 到 2026-11-30，共 13.5 万元".into(), None),
            ("电话13812341234。".into(), Some("电话138****1234。".into())),
            ("电话138-1234-1234".into(), Some("电话138****1234".into())),
            ("+8613812341234".into(), Some("+86138****1234".into())),
            ("电话0633-8781234。".into(), Some("电话0633-****234。".into())),
            ("电话06338781234".into(), Some("电话0633-****234".into())),
            ("（0633）8781234转801".into(), Some("（0633-****234转801".into())),
            ("0532 8781 2345".into(), Some("0532-****2345".into())),
            ("010-87812345-801".into(), Some("010-****2345".into())),
            ("+86 633 8781234、86-10-87812345".into(), Some("+86 0633-****234、86 010-****2345".into())),
            ("批号0633-1234567，02-87812345，0633-12345".into(), None),
            ("日期0312-2026".into(), None),
            ("单号213812341234".into(), None),
            ("卡号6222020000000000008请退".into(), None),
            ("卡号4111111111111111请退".into(), Some("卡号************1111请退".into())),
            ("卡号4111 1111 1111 1111".into(), Some("卡号************1111".into())),
            ("写信到 zhang.san@example.com 即可".into(), Some("写信到 ***@*** 即可".into())),
            ("车牌鲁L12345停在门口".into(), Some("车牌鲁L*****停在门口".into())),
            ("新能源鲁LD12345".into(), Some("新能源鲁L*****".into())),
            ("91371102MA0000015N 2026-11-23 08:00:00 50000.00元".into(), None),
            ("新A级 3 号楼".into(), None),
            ("两人受伤".into(), None),
        ] {
            assert_eq!(mask_text(&text), expected, "{text}");
        }
    }

    #[test]
    fn hashes_are_keyed_and_the_same_for_one_person_written_in_two_ways() {
        let (a, b) = (Mask::new(b"one"), Mask::new(b"two"));
        assert_ne!(a.hash("13812341234", Personal::Phone), b.hash("13812341234", Personal::Phone));
        assert_eq!(a.hash("13812341234", Personal::Phone), a.hash("+86 138-1234-1234", Personal::Phone));
        assert_eq!(a.hash("99000019900307123x", Personal::Id), a.hash(" 99000019900307123X", Personal::Id));
        // HMAC-SHA256 with the key of RFC 4231, test case 2; its text without the spaces, which do not count here.
        let hash = Mask::new(b"Jefe").hash("what do ya want for nothing?", Personal::Name);
        assert_eq!(hash, "404ca403a3181eff5f3832f7f159dd43e1b09620b7635d4c06fe6329aba52d4a");
    }

    #[test]
    fn a_secret_is_known_again_by_its_fingerprint() {
        let (a, b) = (Fingerprint::of(b"a secret of the test"), Fingerprint::of(b"another secret"));
        assert_ne!(a, b);
        assert_eq!(a.to_string().len(), 16);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert_eq!(serde_json::from_str::<Fingerprint>(&serde_json::to_string(&b).unwrap()).unwrap(), b);
    }

    #[test]
    fn ids_that_hold_a_person_id_are_found() {
        let id = person();
        assert!(holds_person_id(&format!("card:{id}")));
        assert!(!holds_person_id("equip:371102-0007-0000000000"));
        assert!(!holds_person_id("91371102MA0000015N"));
    }
}
