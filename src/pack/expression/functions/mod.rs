//! The allow-list of functions: one array written by hand, each with its documentation and what it takes.
//!
//! Deterministic functions only: no clock, no randomness. What cannot be done for a row (the logarithm of zero, a text
//! that is no number) is null and counted; a null argument gives null without being counted.
//! To add one: a file with a `Function`, a line in `FUNCTIONS`, and an example that is true on the sample row of the
//! tests.

pub(super) mod arithmetic;
pub(super) mod choose;
pub(super) mod interval;

mod dates;
mod days_between;
mod distance;
mod extract_number;
mod has_tag;
mod json_count;
mod json_value;
mod list;
mod local_time;
mod math;
mod pattern;
mod text;
mod text_number;

use super::call::{Prepared, Run};
use super::class::Class;
use super::error::{ExpressionError, Place, nearest};
use super::lower::{Lowering, Typed};
use std::sync::LazyLock;

/// Bytes of a pattern: enough for any code or number in a text, too few to make a matcher of many megabytes.
pub(super) const PATTERN_MAX: usize = 512;
/// Bytes of a compiled regular expression.
const REGEX_MAX: usize = 1 << 20;

/// What `schema` shows of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionDoc {
    /// The name in SQL.
    pub name: &'static str,
    /// Arguments and result: `round(number [, digits]) -> number`.
    pub signature: &'static str,
    /// 中文说明
    pub meaning_zh: &'static str,
    /// What it gives.
    pub meaning_en: &'static str,
    /// An expression that uses it and is true.
    pub example: &'static str,
}

/// All functions that an expression may call, in the order in which they are shown.
#[must_use]
pub fn functions() -> &'static [FunctionDoc] {
    static DOCS: LazyLock<Vec<FunctionDoc>> =
        LazyLock::new(|| FUNCTIONS.iter().filter(|f| f.doc.name != "||").map(|f| f.doc).collect());
    &DOCS
}

/// One allowed function.
pub(super) struct Function {
    doc: FunctionDoc,
    form: Form,
}

/// How a call is checked and compiled.
enum Form {
    /// Fixed parameters, of which the last `optional` may be left out.
    Fixed { params: &'static [Param], optional: usize, returns: Class, run: Run },
    /// Its own way.
    Own(fn(&mut Lowering<'_>, Vec<Typed>, &FunctionDoc, Place) -> Result<Typed, ExpressionError>),
}

/// What an argument must be. Null is taken everywhere but for literals.
#[derive(Clone, Copy)]
enum Param {
    /// Text.
    Text,
    /// Any number.
    Number,
    /// A whole number.
    Int,
    /// A time; a day stands for its local midnight.
    Moment,
    /// A day.
    Day,
    /// A list of texts.
    List,
    /// A text in quotes.
    Literal,
    /// One of these words in quotes.
    Word(&'static [&'static str]),
    /// A regular expression in quotes.
    Regex,
}

const FUNCTIONS: &[&Function] = &[
    &has_tag::HAS_TAG,
    &has_tag::HAS_ANY_TAG,
    &list::CONTAINS,
    &list::LENGTH,
    &json_value::NUMBER,
    &json_value::TEXT,
    &json_value::DATE,
    &json_count::COUNT,
    &json_count::MIN_DATE,
    &days_between::DAYS,
    &days_between::HOURS,
    &local_time::DATE,
    &local_time::HOUR,
    &local_time::WEEKDAY,
    &local_time::MAKE_TIME,
    &dates::DATE_PART,
    &dates::DATE_TRUNC,
    &distance::DISTANCE,
    &text_number::TEXT_NUMBER,
    &extract_number::EXTRACT_NUMBER,
    &choose::COALESCE,
    &choose::NULLIF,
    &choose::GREATEST,
    &choose::LEAST,
    &math::ABS,
    &math::CEIL,
    &math::FLOOR,
    &math::ROUND,
    &math::TRUNC,
    &math::POWER,
    &math::SQRT,
    &math::LN,
    &math::LOG,
    &math::EXP,
    &text::LOWER,
    &text::UPPER,
    &text::TRIM,
    &text::BTRIM,
    &text::LTRIM,
    &text::RTRIM,
    &text::LENGTH,
    &text::CHAR_LENGTH,
    &text::SUBSTR,
    &text::LEFT,
    &text::RIGHT,
    &text::LPAD,
    &text::REPLACE,
    &text::SPLIT_PART,
    &text::STARTS_WITH,
    &text::ENDS_WITH,
    &text::CONTAINS,
    &text::STRPOS,
    &text::CONCAT,
    &text::JOINED,
    &pattern::REGEXP_LIKE,
    &pattern::REGEXP_REPLACE,
];

/// Other names of the same functions.
const ALIASES: &[(&str, &str)] = &[
    ("ceiling", "ceil"),
    ("pow", "power"),
    ("character_length", "char_length"),
    ("substring", "substr"),
    ("instr", "strpos"),
];

/// The function of a lower-case name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    FUNCTIONS.iter().find(|f| f.doc.name == name).copied()
}

const CLOCKS: &[&str] =
    &["now", "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp", "today", "sysdate"];
const RANDOM: &[&str] = &["random", "rand", "uuid", "gen_random_uuid"];
const AGGREGATES: &[&str] =
    &["count", "sum", "avg", "min", "max", "median", "stddev", "array_agg", "string_agg", "row_number", "lag", "lead"];

/// The error for a name that is not on the list.
pub(super) fn unknown(name: &str, place: Place) -> ExpressionError {
    let error =
        ExpressionError::new("sql-function", format!("no function \"{name}\""), format!("没有函数“{name}”"), place);
    if CLOCKS.contains(&name) {
        return error
            .hint("there is no clock in an expression; use occurred_at / 表达式中没有当前时间,请用 occurred_at");
    }
    if RANDOM.contains(&name) {
        return error.hint("the same record must always give the same result / 同一记录必须得到同一结果");
    }
    if AGGREGATES.contains(&name) {
        return error.hint("aggregates stand in `measures`, not in SQL; of several columns use least or greatest / 统计请写在 measures 中");
    }
    match nearest(name, FUNCTIONS.iter().map(|f| f.doc.name)) {
        Some(known) => error.hint(format!("did you mean \"{known}\"? / 是否指 {known}?")),
        None => error.hint("`forewarn schema rule` lists them / 用 forewarn schema rule 查看全部函数"),
    }
}

impl Function {
    /// Checks the arguments and makes the call.
    pub(super) fn bind(
        &self,
        lowering: &mut Lowering<'_>,
        args: Vec<Typed>,
        place: Place,
    ) -> Result<Typed, ExpressionError> {
        match &self.form {
            Form::Own(own) => own(lowering, args, &self.doc, place),
            Form::Fixed { params, optional, returns, run } => {
                arity(&self.doc, args.len(), params.len() - optional, params.len(), place)?;
                let mut prepared = Prepared::Nothing;
                let mut bound = Vec::with_capacity(args.len());
                for (arg, param) in args.into_iter().zip(*params) {
                    bound.push(param.bind(lowering, arg, &mut prepared)?);
                }
                Ok(lowering.call(self.doc.name, *run, bound, *returns, prepared))
            }
        }
    }
}

/// Refuses a wrong number of arguments.
fn arity(doc: &FunctionDoc, found: usize, least: usize, most: usize, place: Place) -> Result<(), ExpressionError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let (en, zh) = (format!("{} does not take {found} arguments", doc.name), format!("{} 的参数个数不对", doc.name));
    Err(ExpressionError::ty(en, zh, place).hint(doc.signature))
}

impl Param {
    fn bind(self, lowering: &Lowering<'_>, arg: Typed, prepared: &mut Prepared) -> Result<Typed, ExpressionError> {
        let place = arg.place;
        match self {
            Param::Text => lowering.to(arg, Class::Text),
            Param::Number => lowering.to(arg, Class::Float),
            Param::Int => lowering.to(arg, Class::Int),
            Param::Moment => lowering.to(arg, Class::Time),
            Param::Day => lowering.to(arg, Class::Date),
            Param::List => lowering.to(arg, Class::List),
            Param::Literal | Param::Word(_) | Param::Regex => {
                let Some(text) = arg.literal_text() else {
                    return Err(ExpressionError::ty("this must be a text in quotes", "此处须为引号中的文本", place));
                };
                match self {
                    Param::Word(words) if !words.contains(&text) => {
                        let en = format!("'{text}' is not one of {}", words.join(", "));
                        return Err(ExpressionError::ty(en, format!("'{text}' 不在可选值之内"), place).hint(format!(
                            "{} / 可选: {}",
                            words.join(", "),
                            words.join("、")
                        )));
                    }
                    Param::Regex => *prepared = Prepared::Regex(Box::new(compile_regex(text, place)?)),
                    _ => {}
                }
                Ok(arg)
            }
        }
    }
}

fn compile_regex(pattern: &str, place: Place) -> Result<regex::Regex, ExpressionError> {
    if pattern.len() > PATTERN_MAX {
        let en = format!("the pattern has {} bytes, at most {PATTERN_MAX} are allowed", pattern.len());
        return Err(ExpressionError::limit(en, format!("模式过长,最多 {PATTERN_MAX} 字节"), place));
    }
    regex::RegexBuilder::new(pattern).size_limit(REGEX_MAX).dfa_size_limit(REGEX_MAX).nest_limit(50).build().map_err(
        |e| match e {
            regex::Error::CompiledTooBig(_) => {
                ExpressionError::limit("the pattern takes too much memory", "模式占用内存过多", place)
                    .hint("make the repetitions smaller / 请减小重复次数")
            }
            other => ExpressionError::syntax(format!("the pattern is not valid: {other}"), "正则表达式有误", place),
        },
    )
}
