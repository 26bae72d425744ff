//! A number inside a text, found by a pattern.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::failed;
use crate::pack::expression::class::{Class, parse_number};

/// Null without a match; a failure when what matched is no number.
pub(super) const EXTRACT_NUMBER: Function = Function {
    doc: FunctionDoc {
        name: "extract_number",
        signature: "extract_number(text, 'pattern') -> number",
        meaning_zh: "正则表达式第一个括号(无括号则整个匹配)中的数值;不符合为空",
        meaning_en: "the number in the first parentheses of the pattern, or in the whole match; null without a match",
        example: "extract_number('浓度 12.5 %LEL', '([0-9.]+) *%LEL') = 12.5",
    },
    form: Form::Fixed {
        params: &[Param::Text, Param::Regex],
        optional: 0,
        returns: Class::Float,
        run: |i| {
            let (text, regex) = (i.text(0), i.regex());
            i.make_float(|row| {
                let captures = regex.captures(text.get(row)?)?;
                let found = captures.get(1).or_else(|| captures.get(0))?;
                parse_number(found.as_str()).or_else(failed)
            })
        },
    },
};
