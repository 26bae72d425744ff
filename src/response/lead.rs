//! Which department leads: five ordered steps, and the step that decided is recorded.
//!
//! 1. Statute or the list of matters names exactly one department for the matter.
//! 2. 谁主管谁牵头: the owner of the industry, or of the sector that the rule names.
//! 3. 谁为主谁牵头: of several owners the one with most matters in the warning, then the licence issuer, then the one
//!    with the most evidence.
//! 4. 谁靠近谁牵头: without an owner the nearest trade by GB/T 4754, then the latest inspection in 24 months.
//! 5. The joint office designates.
//!
//! Source: the city notice on cross-department supervision, as the handbook orders it.

use crate::record::{Millis, time};

/// Who leads, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Department id.
    pub dept: String,
    /// Step of the assignment, 1 to 5.
    pub step: u8,
    /// Why, in Chinese.
    pub why: String,
    /// Why, in English.
    pub why_en: String,
}

/// One of several owners of what a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Department id.
    pub dept: &'a str,
    /// Its matters that the warning's records name.
    pub matters: usize,
    /// It issued a licence in the evidence: 谁审批谁监管.
    pub issued_licence: bool,
    /// Records of the evidence that are its own.
    pub evidence: usize,
}

/// An inspection of the object: by whom and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected<'a> {
    /// Department id.
    pub dept: &'a str,
    /// When.
    pub at: Millis,
}

/// Step 3: the owner with most matters, then the licence issuer, then the most evidence. `None` for no owner or a tie
/// in all three.
#[must_use]
pub fn by_main_duty<'a>(owners: &[Owner<'a>]) -> Option<&'a str> {
    let weight = |o: &Owner<'_>| (o.matters, o.issued_licence, o.evidence);
    let best = owners.iter().map(weight).max()?;
    let mut of_best = owners.iter().filter(|o| weight(o) == best);
    match (of_best.next(), of_best.next()) {
        (Some(one), None) => Some(one.dept),
        _ => None,
    }
}

/// Step 4: the leads of the industries whose trade codes share the longest prefix with `code`, sorted, each once.
/// Empty when nothing is shared beyond chance (another section letter, or digits that begin differently).
///
/// - `code`: GB/T 4754, with or without the section letter: `H6210`, `6210`
/// - `industries`: lead department and trade codes of each industry
#[must_use]
pub fn by_nearest_trade<'a>(code: &str, industries: &[(&'a str, &[String])]) -> Vec<&'a str> {
    let mut best = 0;
    let mut leads = Vec::new();
    for (lead, codes) in industries {
        let near = codes.iter().map(|c| nearness(code, c)).max().unwrap_or(0);
        if near > best {
            best = near;
            leads.clear();
        }
        if near == best && near > 0 {
            leads.push(*lead);
        }
    }
    leads.sort_unstable();
    leads.dedup();
    leads
}

/// 0: nothing in common; 1: the section letter alone; above: one more than the shared digits.
fn nearness(a: &str, b: &str) -> usize {
    let (letter_a, digits_a) = section(a);
    let (letter_b, digits_b) = section(b);
    if let (Some(x), Some(y)) = (letter_a, letter_b)
        && !x.eq_ignore_ascii_case(&y)
    {
        return 0;
    }
    let shared = digits_a.chars().zip(digits_b.chars()).take_while(|(x, y)| x == y).count();
    // One digit is no trade: divisions have two, and sections cut across the first.
    if shared >= 2 { shared + 1 } else { usize::from(letter_a.is_some() && letter_b.is_some()) }
}

fn section(code: &str) -> (Option<char>, &str) {
    let code = code.trim();
    let mut rest = code.chars();
    match rest.next() {
        Some(c) if c.is_ascii_alphabetic() => (Some(c), rest.as_str()),
        _ => (None, code),
    }
}

/// Step 4, tie: the department with the latest inspection in the 24 months before `at`. With candidates only they
/// count. `None` when nobody inspected or two did at the same instant.
#[must_use]
pub fn by_latest_inspection<'a>(candidates: &[&str], inspections: &[Inspected<'a>], at: Millis) -> Option<&'a str> {
    let oldest = at.saturating_sub(730 * time::DAY);
    let counts =
        |i: &&Inspected<'_>| i.at <= at && i.at >= oldest && (candidates.is_empty() || candidates.contains(&i.dept));
    let latest = inspections.iter().filter(counts).map(|i| i.at).max()?;
    let mut of_latest = inspections.iter().filter(counts).filter(|i| i.at == latest).map(|i| i.dept);
    let first = of_latest.next()?;
    of_latest.all(|d| d == first).then_some(first)
}

/// What the five steps are decided by.
#[derive(Clone, Debug, Default)]
pub(super) struct Grounds<'a> {
    /// Step 1: code and lead of the matter, when the list has it.
    pub(super) matter: Option<(&'a str, &'a str)>,
    /// Step 2: the lead that the rule names for its sector.
    pub(super) sector: Option<&'a str>,
    /// Step 2: name, English name and lead of the industry.
    pub(super) industry: Option<(&'a str, &'a str, &'a str)>,
    /// Step 3.
    pub(super) owners: Vec<Owner<'a>>,
    /// Step 4: trade code of the subject.
    pub(super) trade: Option<&'a str>,
    /// Step 4: all industries.
    pub(super) trades: Vec<(&'a str, &'a [String])>,
    /// Step 4: inspections in the evidence.
    pub(super) inspections: Vec<Inspected<'a>>,
    /// When the warning was raised.
    pub(super) at: Millis,
}

/// Goes through the five steps; the last always has an answer.
pub(super) fn assign(grounds: &Grounds<'_>) -> Lead {
    let lead = |dept: &str, step, why: String, why_en: String| Lead { dept: dept.to_owned(), step, why, why_en };
    if let Some((code, dept)) = grounds.matter {
        return lead(
            dept,
            1,
            format!("事项清单将{code}明确给一个部门"),
            format!("the list of matters gives {code} to one department"),
        );
    }
    if let Some(dept) = grounds.sector {
        return lead(
            dept,
            2,
            "谁主管谁牵头：规则按领域指定".to_owned(),
            "owner of the sector, as the rule names it".to_owned(),
        );
    }
    if let Some((name, name_en, dept)) = grounds.industry {
        return lead(dept, 2, format!("谁主管谁牵头：{name}行业主管部门"), format!("owner of the industry {name_en}"));
    }
    if let Some(dept) = by_main_duty(&grounds.owners) {
        return lead(
            dept,
            3,
            "谁为主谁牵头：涉及事项、许可和证据最多".to_owned(),
            "main duty: most matters, then licence issuer, then most evidence".to_owned(),
        );
    }
    if grounds.owners.is_empty() {
        let near = grounds.trade.map(|code| by_nearest_trade(code, &grounds.trades)).unwrap_or_default();
        if let [dept] = near.as_slice() {
            return lead(dept, 4, "谁靠近谁牵头：行业代码最接近".to_owned(), "nearest trade by GB/T 4754".to_owned());
        }
        if let Some(dept) = by_latest_inspection(&near, &grounds.inspections, grounds.at) {
            return lead(
                dept,
                4,
                "谁靠近谁牵头：24个月内最近一次检查".to_owned(),
                "latest inspection within 24 months".to_owned(),
            );
        }
    }
    lead(
        super::told::JOINT_OFFICE,
        5,
        "牵头部门待定，由联席会议办公室一个工作日内指定".to_owned(),
        "no single owner: the joint office designates within one working day".to_owned(),
    )
}
