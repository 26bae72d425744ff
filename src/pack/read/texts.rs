//! Warning texts: templates that render, with numbers that come from the bounds.

use super::meaning::Meaning;
use crate::pack::Indicator;
use minijinja::{Environment, UndefinedBehavior, Value, context};

/// What every template may read; the response renders with the same names.
fn sample() -> Value {
    context! {
        object => context! { id => "equip:371102-0007", name => "示例", type => "restaurant" },
        entity => context! { id => "91371102MA0000015N", name => "示例" },
        region => context! { code => "371102", name => "东港区", name_en => "Donggang" },
        value => "12.5",
        unit => "%LEL",
        bound => "10",
        level => context! { name => "蓝色(四级)", word => "blue", number => 1 },
        indicator => context! { id => "gas_leak_lel", name => "泄漏浓度", name_en => "Gas leak" },
        segment => "kitchen",
        window => context! { from => "2026-03-02T08:00:00+08:00", to => "2026-03-02T09:00:00+08:00", size => "1h" },
        evidence_total => 3,
        sensor => "s1",
        location => "valve-12",
        street => "371102001",
        key => "equip:371102-0007",
        at => "2026-03-02T09:00:00+08:00",
    }
}

pub(super) fn check(meaning: &mut Meaning<'_>, path: &str, indicator: &Indicator) {
    for (field, text) in [("/message", &indicator.message), ("/message_en", &indicator.message_en)] {
        if text.is_empty() {
            continue;
        }
        if let Err(error) = render(indicator, text) {
            let en = format!("the text does not render: {error}");
            let zh = "文字模板不成立".to_owned();
            let hint = Some(
                "names: object, entity, region, value, unit, bound, level, indicator, segment, window, \
                 evidence_total, sensor, location, readings.<measure>"
                    .to_owned(),
            );
            meaning.error((path, field), "template", &en, &zh, hint);
        } else if bare_number(text) {
            let (en, zh) = ("a number in the text will not follow the bounds", "文字中的数字不会随限值变化");
            let hint = Some("write {{ bound }} or {{ window.size }} / 用 {{ }} 引用".to_owned());
            meaning.warning((path, field), "bare-number", en, zh, hint);
        }
    }
}

fn render(indicator: &Indicator, text: &str) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut readings: std::collections::BTreeMap<String, String> =
        ["value", "score", "count", "mean"].into_iter().map(|n| (n.to_owned(), "1".to_owned())).collect();
    if let crate::pack::Method::Measure(method) = &indicator.kind {
        readings.extend(method.measures.keys().map(|m| (m.clone(), "1".to_owned())));
    }
    if let crate::pack::Method::Model(method) = &indicator.kind {
        readings.extend(method.group_quantities().into_iter().map(|q| (q, "1".to_owned())));
    }
    let terms: &[&str] = match &indicator.kind {
        crate::pack::Method::Model(_) => &["expected", "level", "season", "weekday", "common", "tail"],
        crate::pack::Method::Trend(_) => &["hours", "limit", "slope", "r2", "points"],
        crate::pack::Method::Peer(_) => &["z", "median", "mad", "peers", "city"],
        crate::pack::Method::Fusion(_) => &["prior"],
        _ => &[],
    };
    readings.extend(terms.iter().map(|name| ((*name).to_owned(), "1".to_owned())));
    readings.extend(indicator.kind.items().into_iter().map(|(name, _)| (name.to_owned(), "1".to_owned())));
    let context = context! { readings => readings, ..sample() };
    environment.render_str(text, context).map_err(|e| e.detail().map_or_else(|| e.to_string(), str::to_owned))
}

/// True when digits stand outside `{{ }}` and outside words like H2S.
fn bare_number(text: &str) -> bool {
    let mut previous = ' ';
    let mut inside = 0usize;
    for c in text.chars() {
        match c {
            '{' => inside += 1,
            '}' => inside = inside.saturating_sub(1),
            _ if inside == 0 && c.is_ascii_digit() => {
                let in_word = previous.is_ascii_alphanumeric() || matches!(previous, '.' | '-' | '_');
                if !in_word {
                    return true;
                }
            }
            _ => {}
        }
        previous = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::bare_number;

    #[test]
    fn numbers_in_words_and_braces_are_no_bare_numbers() {
        for (text, bare) in [
            ("超过30分钟", true),
            ("over 30 minutes", true),
            ("{{ value }}超过{{ bound }}", false),
            ("H2S 浓度 {{ value }}", false),
            ("PM2.5", false),
            ("", false),
        ] {
            assert_eq!(bare_number(text), bare, "{text}");
        }
    }
}
