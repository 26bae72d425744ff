//! A text that is a number.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::failed;
use crate::pack::expression::class::{Class, parse_number};

/// Strict: `12`, `-1.5`, `1e3`; an empty text is null, any other text is a failure.
pub(super) const TEXT_NUMBER: Function = Function {
    doc: FunctionDoc {
        name: "text_number",
        signature: "text_number(text) -> number",
        meaning_zh: "文本所写的数值;空串为空,其他文本计为失败",
        meaning_en: "the number that the text writes; null for an empty text, a failure for any other",
        example: "text_number(' 12.50 ') = 12.5",
    },
    form: Form::Fixed {
        params: &[Param::Text],
        optional: 0,
        returns: Class::Float,
        run: |i| {
            let text = i.text(0);
            i.make_float(|row| {
                let text = text.get(row)?;
                if text.trim().is_empty() { None } else { parse_number(text).or_else(failed) }
            })
        },
    },
};
