//! Functions of text. Lengths and positions are in characters, positions count from 1.

use super::{Form, Function, FunctionDoc, Param, arity};
use crate::pack::expression::call::{Inputs, Prepared, Run, failed, text_max};
use crate::pack::expression::class::{Class, castable};
use crate::pack::expression::error::ExpressionError;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::Int64Type;

const ONE: &[Param] = &[Param::Text];
const TWO: &[Param] = &[Param::Text, Param::Text];
const THREE: &[Param] = &[Param::Text, Param::Text, Param::Text];

const fn of(doc: FunctionDoc, params: &'static [Param], returns: Class, run: Run) -> Function {
    Function { doc, form: Form::Fixed { params, optional: 0, returns, run } }
}

pub(super) const LOWER: Function = of(
    FunctionDoc {
        name: "lower",
        signature: "lower(text) -> text",
        meaning_zh: "转小写",
        meaning_en: "in lower case",
        example: "lower('GB') = 'gb'",
    },
    ONE,
    Class::Text,
    |i| each(i, str::to_lowercase),
);

pub(super) const UPPER: Function = of(
    FunctionDoc {
        name: "upper",
        signature: "upper(text) -> text",
        meaning_zh: "转大写",
        meaning_en: "in upper case",
        example: "upper('gb') = 'GB'",
    },
    ONE,
    Class::Text,
    |i| each(i, str::to_uppercase),
);

fn each(inputs: &Inputs<'_>, op: fn(&str) -> String) -> ArrayRef {
    let text = inputs.text(0);
    inputs.make_text(|row| text.get(row).map(op))
}

pub(super) const TRIM: Function =
    trimming("trim", "trim(text [, characters]) -> text", "trim('  a ') = 'a'", |i| trimmed(i, true, true));
pub(super) const BTRIM: Function =
    trimming("btrim", "btrim(text [, characters]) -> text", "btrim('xax', 'x') = 'a'", |i| trimmed(i, true, true));
pub(super) const LTRIM: Function =
    trimming("ltrim", "ltrim(text [, characters]) -> text", "ltrim('007', '0') = '7'", |i| trimmed(i, true, false));
pub(super) const RTRIM: Function =
    trimming("rtrim", "rtrim(text [, characters]) -> text", "rtrim('a  ') = 'a'", |i| trimmed(i, false, true));

const fn trimming(name: &'static str, signature: &'static str, example: &'static str, run: Run) -> Function {
    Function {
        doc: FunctionDoc {
            name,
            signature,
            meaning_zh: "去除两端(ltrim 左端, rtrim 右端)的空白或所给字符",
            meaning_en: "without white space, or the characters given, at both ends (ltrim: the left, rtrim: the right)",
            example,
        },
        form: Form::Fixed { params: TWO, optional: 1, returns: Class::Text, run },
    }
}

fn trimmed(inputs: &Inputs<'_>, left: bool, right: bool) -> ArrayRef {
    let text = inputs.text(0);
    let chars = (inputs.count() > 1).then(|| inputs.text(1));
    inputs.make_text(|row| {
        let text = text.get(row)?;
        let set = match &chars {
            Some(chars) => Some(chars.get(row)?),
            None => None,
        };
        let strip = |c: char| set.map_or_else(|| c.is_whitespace(), |set| set.contains(c));
        let text = if left { text.trim_start_matches(strip) } else { text };
        Some(if right { text.trim_end_matches(strip) } else { text }.to_owned())
    })
}

pub(super) const LENGTH: Function = of(
    FunctionDoc {
        name: "length",
        signature: "length(text) -> int",
        meaning_zh: "字符数",
        meaning_en: "the number of characters",
        example: "length('食品') = 2",
    },
    ONE,
    Class::Int,
    length,
);

pub(super) const CHAR_LENGTH: Function = of(
    FunctionDoc {
        name: "char_length",
        signature: "char_length(text) -> int",
        meaning_zh: "字符数,同 length",
        meaning_en: "the number of characters, as length",
        example: "char_length('') = 0",
    },
    ONE,
    Class::Int,
    length,
);

fn length(inputs: &Inputs<'_>) -> ArrayRef {
    let text = inputs.text(0);
    inputs.make::<Int64Type>(|row| text.get(row).and_then(|t| i64::try_from(t.chars().count()).ok()))
}

pub(super) const SUBSTR: Function = Function {
    doc: FunctionDoc {
        name: "substr",
        signature: "substr(text, from [, length]) -> text",
        meaning_zh: "从第几个字符起(从 1 数)的若干字符",
        meaning_en: "the characters from a position (from 1), as many as given or all",
        example: "substr('371102', 1, 4) = '3711'",
    },
    form: Form::Fixed {
        params: &[Param::Text, Param::Int, Param::Int],
        optional: 1,
        returns: Class::Text,
        run: |i| {
            let (text, from) = (i.text(0), i.lane::<Int64Array>(1));
            let length = (i.count() > 2).then(|| i.lane::<Int64Array>(2));
            i.make_text(|row| {
                let (text, from) = (text.get(row)?, from.get(row)?);
                let end = match &length {
                    Some(length) => {
                        let length = length.get(row)?;
                        if length < 0 {
                            return failed();
                        }
                        from.saturating_add(length)
                    }
                    None => i64::MAX,
                };
                // Positions before the first character count but hold nothing, as in SQL.
                let start = from.max(1);
                let take = end.saturating_sub(start).max(0);
                Some(cut(text, start - 1, take))
            })
        },
    },
};

fn cut(text: &str, skip: i64, take: i64) -> String {
    let bounded = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    text.chars().skip(bounded(skip)).take(bounded(take)).collect()
}

pub(super) const LEFT: Function = of(
    FunctionDoc {
        name: "left",
        signature: "left(text, n) -> text",
        meaning_zh: "前 n 个字符;n 为负时去掉末尾 -n 个",
        meaning_en: "the first n characters; all but the last -n when n is below zero",
        example: "left('371102', 4) = '3711'",
    },
    &[Param::Text, Param::Int],
    Class::Text,
    |i| {
        let (text, n) = (i.text(0), i.lane::<Int64Array>(1));
        i.make_text(|row| {
            let (text, n) = (text.get(row)?, n.get(row)?);
            let take = if n >= 0 { n } else { count(text).saturating_add(n).max(0) };
            Some(cut(text, 0, take))
        })
    },
);

pub(super) const RIGHT: Function = of(
    FunctionDoc {
        name: "right",
        signature: "right(text, n) -> text",
        meaning_zh: "后 n 个字符;n 为负时去掉开头 -n 个",
        meaning_en: "the last n characters; all but the first -n when n is below zero",
        example: "right('371102', 2) = '02'",
    },
    &[Param::Text, Param::Int],
    Class::Text,
    |i| {
        let (text, n) = (i.text(0), i.lane::<Int64Array>(1));
        i.make_text(|row| {
            let (text, n) = (text.get(row)?, n.get(row)?);
            let skip = if n >= 0 { count(text).saturating_sub(n).max(0) } else { n.saturating_neg() };
            Some(cut(text, skip, i64::MAX))
        })
    },
);

fn count(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

pub(super) const LPAD: Function = of(
    FunctionDoc {
        name: "lpad",
        signature: "lpad(text, length, fill) -> text",
        meaning_zh: "左侧补足到若干字符(最多 1000);过长时截去末尾",
        meaning_en: "filled up on the left to a length of at most 1000; a longer text is cut",
        example: "lpad('7', 3, '0') = '007'",
    },
    &[Param::Text, Param::Int, Param::Text],
    Class::Text,
    |i| {
        let (text, length, fill) = (i.text(0), i.lane::<Int64Array>(1), i.text(2));
        i.make_text(|row| {
            let (text, length, fill) = (text.get(row)?, length.get(row)?, fill.get(row)?);
            if !(0..=1000).contains(&length) {
                return failed();
            }
            let missing = length - count(text);
            if missing <= 0 || fill.is_empty() {
                return Some(cut(text, 0, length));
            }
            let pad = fill.chars().cycle().take(usize::try_from(missing).unwrap_or(0));
            Some(pad.chain(text.chars()).collect())
        })
    },
);

pub(super) const REPLACE: Function = of(
    FunctionDoc {
        name: "replace",
        signature: "replace(text, from, to) -> text",
        meaning_zh: "替换全部出现之处",
        meaning_en: "every occurrence of from replaced",
        example: "replace('a-b-c', '-', '') = 'abc'",
    },
    THREE,
    Class::Text,
    |i| {
        let (text, from, to) = (i.text(0), i.text(1), i.text(2));
        i.make_text(|row| {
            let (text, from, to) = (text.get(row)?, from.get(row)?, to.get(row)?);
            if from.is_empty() {
                return Some(text.to_owned());
            }
            // Counted first: the result is not built when it would be too long.
            let grown = text.len() + text.matches(from).count() * to.len();
            if grown > text_max() + text.len() {
                return failed();
            }
            Some(text.replace(from, to))
        })
    },
);

pub(super) const SPLIT_PART: Function = of(
    FunctionDoc {
        name: "split_part",
        signature: "split_part(text, separator, n) -> text",
        meaning_zh: "按分隔符切开后的第 n 段(从 1 数,负数从末尾数);没有则为空串",
        meaning_en: "the nth part between separators (from 1; below zero from the end); empty when there is none",
        example: "split_part('lift:37-2', ':', 1) = 'lift'",
    },
    &[Param::Text, Param::Text, Param::Int],
    Class::Text,
    |i| {
        let (text, separator, n) = (i.text(0), i.text(1), i.lane::<Int64Array>(2));
        i.make_text(|row| {
            let (text, separator, n) = (text.get(row)?, separator.get(row)?, n.get(row)?);
            if n == 0 {
                return failed();
            }
            let nth = usize::try_from(n.unsigned_abs() - 1).unwrap_or(usize::MAX);
            let part = if separator.is_empty() {
                (nth == 0).then_some(text)
            } else if n > 0 {
                text.split(separator).nth(nth)
            } else {
                text.rsplit(separator).nth(nth)
            };
            Some(part.unwrap_or_default().to_owned())
        })
    },
);

fn test(inputs: &Inputs<'_>, op: fn(&str, &str) -> bool) -> ArrayRef {
    let (text, other) = (inputs.text(0), inputs.text(1));
    inputs.make_bool(|row| Some(op(text.get(row)?, other.get(row)?)))
}

pub(super) const STARTS_WITH: Function = of(
    FunctionDoc {
        name: "starts_with",
        signature: "starts_with(text, prefix) -> bool",
        meaning_zh: "以某文本开头",
        meaning_en: "true when the text begins with prefix",
        example: "starts_with('371102', '3711')",
    },
    TWO,
    Class::Bool,
    |i| test(i, |a, b| a.starts_with(b)),
);

pub(super) const ENDS_WITH: Function = of(
    FunctionDoc {
        name: "ends_with",
        signature: "ends_with(text, suffix) -> bool",
        meaning_zh: "以某文本结尾",
        meaning_en: "true when the text ends with suffix",
        example: "ends_with('公司食堂', '食堂')",
    },
    TWO,
    Class::Bool,
    |i| test(i, |a, b| a.ends_with(b)),
);

pub(super) const CONTAINS: Function = of(
    FunctionDoc {
        name: "contains",
        signature: "contains(text, part) -> bool",
        meaning_zh: "包含某文本",
        meaning_en: "true when part occurs in the text",
        example: "contains('举报燃气泄漏', '燃气')",
    },
    TWO,
    Class::Bool,
    |i| test(i, |a, b| a.contains(b)),
);

pub(super) const STRPOS: Function = of(
    FunctionDoc {
        name: "strpos",
        signature: "strpos(text, part) -> int",
        meaning_zh: "首次出现的位置(从 1 数),没有为 0",
        meaning_en: "the position of the first occurrence (from 1), 0 when there is none",
        example: "strpos('a:b', ':') = 2",
    },
    TWO,
    Class::Int,
    |i| {
        let (text, part) = (i.text(0), i.text(1));
        i.make::<Int64Type>(|row| {
            let (text, part) = (text.get(row)?, part.get(row)?);
            Some(text.split_once(part).map_or(0, |(before, _)| count(before) + 1))
        })
    },
);

pub(super) const CONCAT: Function = Function {
    doc: FunctionDoc {
        name: "concat",
        signature: "concat(value, value ..) -> text",
        meaning_zh: "连接为文本,空值略过",
        meaning_en: "the values as one text; nulls are left out (with || they make the whole null)",
        example: "concat('a', NULL, 1) = 'a1'",
    },
    form: Form::Own(|lowering, args, doc, place| {
        arity(doc, args.len(), 1, usize::MAX, place)?;
        Ok(lowering.call("concat", |i| joined(i, true), texts(lowering, args)?, Class::Text, Prepared::Nothing))
    }),
};

/// The operator `||`; its name is its sign, and it is not listed among the functions.
pub(super) const JOINED: Function = Function {
    doc: FunctionDoc {
        name: "||",
        signature: "value || value",
        meaning_zh: "连接",
        meaning_en: "joined",
        example: "'a' || 1 = 'a1'",
    },
    form: Form::Own(|lowering, args, doc, place| {
        arity(doc, args.len(), 2, usize::MAX, place)?;
        Ok(lowering.call("||", |i| joined(i, false), texts(lowering, args)?, Class::Text, Prepared::Nothing))
    }),
};

type Values = Vec<crate::pack::expression::lower::Typed>;

fn texts(lowering: &crate::pack::expression::lower::Lowering<'_>, args: Values) -> Result<Values, ExpressionError> {
    args.into_iter()
        .map(|arg| {
            if castable(arg.class, Class::Text) {
                return Ok(lowering.convert(arg, Class::Text));
            }
            let (en, zh) = arg.class.words();
            Err(ExpressionError::ty(format!("{en} cannot be joined"), format!("{zh}不能连接为文本"), arg.place))
        })
        .collect()
}

fn joined(inputs: &Inputs<'_>, skip_nulls: bool) -> ArrayRef {
    let lanes: Vec<_> = (0..inputs.count()).map(|i| inputs.text(i)).collect();
    let mut text = String::new();
    inputs.make_text(|row| {
        text.clear();
        for lane in &lanes {
            match lane.get(row) {
                Some(part) => text.push_str(part),
                None if skip_nulls => {}
                None => return None,
            }
            if text.len() > text_max() {
                return failed();
            }
        }
        Some(text.clone())
    })
}
