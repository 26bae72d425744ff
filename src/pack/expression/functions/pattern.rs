//! Regular expressions. The pattern is a literal, compiled once, and matched in time linear in the text.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::{failed, text_max};
use crate::pack::expression::class::Class;

pub(super) const REGEXP_LIKE: Function = Function {
    doc: FunctionDoc {
        name: "regexp_like",
        signature: "regexp_like(text, 'pattern') -> bool",
        meaning_zh: "某处符合正则表达式;(?i) 开头不分大小写",
        meaning_en: "true when the pattern matches somewhere; begin it with (?i) to ignore case",
        example: "regexp_like('鲁L12345', '^鲁L[0-9]{5}$')",
    },
    form: Form::Fixed {
        params: &[Param::Text, Param::Regex],
        optional: 0,
        returns: Class::Bool,
        run: |i| {
            let (text, regex) = (i.text(0), i.regex());
            i.make_bool(|row| text.get(row).map(|t| regex.is_match(t)))
        },
    },
};

pub(super) const REGEXP_REPLACE: Function = Function {
    doc: FunctionDoc {
        name: "regexp_replace",
        signature: "regexp_replace(text, 'pattern', 'to') -> text",
        meaning_zh: "替换全部符合之处;$1 为第一个括号内的文本",
        meaning_en: "every match replaced; $1 is the text of the first parentheses",
        example: "regexp_replace('3 幢 12 号', '[^0-9]+', '-') = '3-12-'",
    },
    form: Form::Fixed {
        params: &[Param::Text, Param::Regex, Param::Literal],
        optional: 0,
        returns: Class::Text,
        run: |i| {
            let (text, regex, to) = (i.text(0), i.regex(), i.text(2));
            i.make_text(|row| {
                let (text, to) = (text.get(row)?, to.get(row)?);
                let mut out = String::new();
                let mut end = 0;
                for captures in regex.captures_iter(text) {
                    let whole = captures.get_match();
                    out.push_str(text.get(end..whole.start())?);
                    captures.expand(to, &mut out);
                    end = whole.end();
                    if out.len() > text_max() {
                        return failed();
                    }
                }
                out.push_str(text.get(end..)?);
                Some(out)
            })
        },
    },
};
