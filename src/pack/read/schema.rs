//! JSON Schema (draft-07) of every file form, and what a tree breaks of it, in plain words.
//!
//! In: the forms of `rule`, `source`, `plan`, `model` and `shared`. Out: schemas for `forewarn schema` and for editors;
//! findings with the place of the value or key at fault.
//! An indicator's fields depend on its `kind`: there is one full schema a kind, and the one that `kind` names judges, so
//! that an unknown field is told against the fields that kind has.

use super::document::{Document, Form};
use crate::pack::{
    Department, GapMethod, Indicator, IndustryFile, LookupMethod, MeasureMethod, ModelFile, ModelMethod, Plan, Regions,
    SequenceMethod, Severity, Source, SustainedMethod, shared,
};
use crate::record::Level;
use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind as Wrong;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The kinds of indicator in the order of the handbook.
pub(super) const KINDS: [&str; 11] =
    ["measure", "sustained", "deadline", "gap", "sequence", "lookup", "model", "trend", "peer", "scorecard", "fusion"];

/// The schema of a type, with its definitions beside it.
fn of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value();
    name_levels(&mut schema);
    schema
}

/// A map by level takes the four words only; the derive leaves its keys open.
fn name_levels(schema: &mut Value) {
    let words: Vec<&str> = Level::ALL.iter().map(|l| l.word()).collect();
    let properties = |v: &mut Value| {
        for name in ["cool_down", "levels"] {
            if let Some(map) = v.pointer_mut(&format!("/properties/{name}")).and_then(Value::as_object_mut)
                && map.contains_key("additionalProperties")
            {
                map.insert("propertyNames".into(), json!({ "enum": words }));
            }
        }
    };
    properties(schema);
    for definition in schema.get_mut("definitions").and_then(Value::as_object_mut).into_iter().flatten() {
        properties(definition.1);
    }
}

fn object(value: &mut Value, key: &str) -> Map<String, Value> {
    match value.get_mut(key).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The schema of an indicator of one kind: the common fields and the kind's own.
fn kind_schema(kind: &str) -> Value {
    let mut method = match kind {
        "measure" => of::<MeasureMethod>(),
        "sustained" => of::<SustainedMethod>(),
        "deadline" => of::<crate::pack::DeadlineMethod>(),
        "gap" => of::<GapMethod>(),
        "sequence" => of::<SequenceMethod>(),
        "lookup" => of::<LookupMethod>(),
        "trend" => of::<crate::pack::TrendMethod>(),
        "peer" => of::<crate::pack::PeerMethod>(),
        "scorecard" => of::<crate::pack::ScorecardMethod>(),
        "fusion" => of::<crate::pack::FusionMethod>(),
        _ => of::<ModelMethod>(),
    };
    let mut whole = of::<Indicator>();
    let mut properties = object(&mut whole, "properties");
    let own = object(&mut method, "properties");
    properties.insert("kind".into(), json!({ "const": kind, "description": "计算方式" }));
    properties.extend(own);
    let mut definitions = object(&mut whole, "definitions");
    definitions.extend(object(&mut method, "definitions"));
    // The schema of the tagged enum brings its own forms of the methods, which are not referred to any more.
    let mut required: Vec<Value> = Vec::new();
    for part in [&whole, &method] {
        required.extend(part.get("required").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    if !required.contains(&json!("kind")) {
        required.push(json!("kind"));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("Indicator ({kind})"),
        "description": method.get("description").cloned().unwrap_or_default(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "definitions": definitions,
    })
}

/// The schema of an indicator file for editors: all kinds, chosen by `kind`.
pub(super) fn rule() -> Value {
    let mut definitions = Map::new();
    let mut branches = Vec::new();
    for kind in KINDS {
        let mut one = kind_schema(kind);
        definitions.extend(object(&mut one, "definitions"));
        if let Some(map) = one.as_object_mut() {
            map.remove("$schema");
            map.remove("definitions");
        }
        branches.push(json!({
            "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] },
            "then": one,
        }));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Indicator",
        "type": "object",
        "properties": { "kind": { "enum": KINDS, "description": "计算方式" } },
        "required": ["kind"],
        "allOf": branches,
        "definitions": definitions,
    })
}

/// The schema of a form as `forewarn schema` prints it.
pub(super) fn schema(form: Form) -> Value {
    match form {
        Form::Industry => of::<IndustryFile>(),
        Form::Plan => of::<Plan>(),
        Form::Rule => rule(),
        Form::Source => of::<Source>(),
        Form::Departments => of::<Vec<Department>>(),
        Form::Regions => of::<Regions>(),
        Form::Calendar => of::<shared::CalendarFile>(),
        Form::Deadlines => of::<shared::Deadlines>(),
        Form::Matters => of::<Vec<shared::Matter>>(),
        Form::Model => of::<ModelFile>(),
        Form::Test => of::<super::TestFile>(),
    }
}

struct Judge {
    schema: Value,
    validator: Validator,
}

impl Judge {
    fn new(schema: Value) -> Judge {
        let validator = jsonschema::draft7::new(&schema).expect("our own schemas are valid draft-07");
        Judge { schema, validator }
    }
}

static FORMS: LazyLock<Vec<(Form, Judge)>> =
    LazyLock::new(|| Form::ALL.into_iter().filter(|f| *f != Form::Rule).map(|f| (f, Judge::new(schema(f)))).collect());
static RULES: LazyLock<Vec<(&str, Judge)>> =
    LazyLock::new(|| KINDS.into_iter().map(|k| (k, Judge::new(kind_schema(k)))).collect());

/// Judges a document's tree by the schema of its form; true when it fits.
pub(super) fn judge(document: &mut Document) -> bool {
    let Some(root) = &document.root else { return false };
    let value = root.json();
    let judge = if document.form == Form::Rule {
        let kind = value.get("kind").and_then(Value::as_str);
        match RULES.iter().find(|(k, _)| Some(*k) == kind) {
            Some((_, judge)) => judge,
            None => {
                refuse_kind(document, &value);
                return false;
            }
        }
    } else {
        let found = FORMS.iter().find(|(f, _)| *f == document.form);
        &found.expect("every form but Rule stands in FORMS").1
    };
    let mut wrongs: Vec<Told> = Vec::new();
    for error in judge.validator.iter_errors(&value) {
        tell(&error, &judge.schema, &mut wrongs);
    }
    let fits = wrongs.is_empty();
    for told in wrongs {
        let place = if told.on_key { document.key(&told.pointer) } else { document.value(&told.pointer) };
        document.find(told.code, Severity::Error, place, (told.message, told.message_zh), told.hint);
    }
    fits
}

fn refuse_kind(document: &mut Document, value: &Value) {
    let list = KINDS.join(", ");
    let words = match value.get("kind") {
        None => (
            "missing-field",
            "the field \"kind\" is missing".to_owned(),
            "缺少字段“kind”(计算方式)".to_owned(),
            format!("one of {list}"),
        ),
        Some(other) => {
            let text = other.as_str().unwrap_or_default();
            (
                "unknown-word",
                format!("{other} is no kind of indicator"),
                format!("没有计算方式 {other}"),
                near(text, KINDS).unwrap_or_else(|| format!("one of {list}")),
            )
        }
    };
    let place = document.value("/kind");
    document.find(words.0, Severity::Error, place, (words.1, words.2), Some(words.3));
}

/// `did you mean "x"?` for the nearest of some names, if one is near enough.
pub(super) fn near<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, names).map(|name| format!("did you mean \"{name}\"? / 是否为 \"{name}\"?"))
}

/// The nearest of some names, at most a third of the letters away.
pub(super) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (word.chars().count().div_ceil(3)).max(1);
    names
        .into_iter()
        .map(|n| (strsim::osa_distance(word, n), n))
        .filter(|(d, n)| *d <= reach && *d < n.chars().count())
        .min()
        .map(|(_, n)| n)
}

/// One thing that a schema error says.
struct Told {
    code: &'static str,
    pointer: String,
    on_key: bool,
    message: String,
    message_zh: String,
    hint: Option<String>,
}

type Failure<'a> = jsonschema::ValidationError<'a>;

fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn tell(error: &Failure<'_>, schema: &Value, out: &mut Vec<Told>) {
    let pointer = error.instance_path().as_str().to_owned();
    let field = pointer.rsplit('/').next().unwrap_or_default().to_owned();
    let shown = short(error.instance());
    let mut say = |code, pointer: String, on_key, message: String, message_zh: String, hint: Option<String>| {
        out.push(Told { code, pointer, on_key, message, message_zh, hint });
    };
    if let Some(text) = error.instance().as_str().filter(|text| is_no_finite_number(text)) {
        let hint = "a plain number; without a bound leave the field out / 写普通数字;不设限值就删去该字段".to_owned();
        say(
            "wrong-form",
            pointer,
            false,
            format!("{text} is no number to compare with"),
            format!("{text} 不是可以比较的数"),
            Some(hint),
        );
        return;
    }
    if let Some(n) = error.instance().as_number()
        && let Some(pattern) = wanted(error, schema)
    {
        let (message, message_zh, hint) = if pattern.contains('%') {
            ("a share is written with %", "百分比要写 %", format!("in quotes: \"{n}%\" / 加引号"))
        } else {
            let hint = format!("days: {n}d, hours: {n}h, minutes: {n}m, seconds: {n}s / 按天、时、分、秒写单位");
            ("a number without a unit is no duration", "时长要写单位", hint)
        };
        say("wrong-type", pointer, false, message.to_owned(), message_zh.to_owned(), Some(hint));
        return;
    }
    match error.kind() {
        Wrong::AdditionalProperties { unexpected } => {
            let known = properties(error, schema);
            for name in unexpected {
                let hint = near(name, known.iter().map(String::as_str)).or_else(|| {
                    let all = known.join(", ");
                    (!known.is_empty()).then(|| format!("the fields here are {all} / 可用字段: {all}"))
                });
                say(
                    "unknown-field",
                    child(&pointer, name),
                    true,
                    format!("there is no field \"{name}\" here"),
                    format!("此处没有字段“{name}”"),
                    hint,
                );
            }
        }
        Wrong::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            say(
                "missing-field",
                pointer,
                true,
                format!("the field \"{name}\" is missing"),
                format!("缺少字段“{name}”"),
                None,
            );
        }
        Wrong::AnyOf { context } | Wrong::OneOfNotValid { context } => {
            let words = words(context);
            if !words.is_empty() && error.instance().is_string() {
                let text = error.instance().as_str().unwrap_or_default();
                let hint = near(text, words.iter().map(String::as_str))
                    .unwrap_or_else(|| format!("one of {} / 可用: {0}", words.join(", ")));
                let only_words = context.iter().all(|b| !self::words(std::slice::from_ref(b)).is_empty());
                let (message, message_zh) = if only_words {
                    (format!("{shown} is not allowed here"), format!("此处不能用 {shown}"))
                } else {
                    (format!("{shown} is of no known form"), format!("{shown} 的写法不对"))
                };
                say("unknown-word", pointer, false, message, message_zh, Some(hint));
                return;
            }
            let fitting: Vec<&Vec<Failure<'static>>> =
                context.iter().filter(|branch| !refused_by_type(branch, error.instance_path().as_str())).collect();
            match fitting.as_slice() {
                [one] => one.iter().for_each(|e| tell(e, schema, out)),
                [] => {
                    let forms: Vec<String> = expected(context);
                    let forms = forms.join(", ");
                    say(
                        "wrong-type",
                        pointer,
                        false,
                        format!("{shown} is no value for \"{field}\""),
                        format!("“{field}”不能是 {shown}"),
                        (!forms.is_empty()).then(|| format!("write {forms} / 可写: {forms}")),
                    );
                }
                [first, ..] => first.iter().for_each(|e| tell(e, schema, out)),
            }
        }
        Wrong::Type { kind } => {
            let kinds = types(kind);
            let quoted = kinds.contains("string") && matches!(**error.instance(), Value::Number(_) | Value::Bool(_));
            let bare = kinds.contains("number") || kinds.contains("integer");
            let hint = if quoted {
                Some(format!("put it in quotes: \"{shown}\" / 请加引号"))
            } else if bare && error.instance().is_string() {
                Some("write a plain number, without quotes or unit / 写数字,不加引号和单位".to_owned())
            } else {
                None
            };
            let kinds_zh = chinese(&kinds);
            say(
                "wrong-type",
                pointer,
                false,
                format!("{shown} is no {kinds}"),
                format!("{shown} 不是{kinds_zh}"),
                hint,
            );
        }
        Wrong::Enum { options } => {
            let names: Vec<String> =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            let text = error.instance().as_str().unwrap_or_default();
            let hint = near(text, names.iter().map(String::as_str))
                .unwrap_or_else(|| format!("one of {} / 可用: {0}", names.join(", ")));
            say(
                "unknown-word",
                pointer,
                false,
                format!("{shown} is not allowed here"),
                format!("此处不能用 {shown}"),
                Some(hint),
            );
        }
        Wrong::Pattern { pattern } => {
            let hint = if pattern.contains('%') {
                "a share in quotes: \"95%\" / 百分比加引号: \"95%\""
            } else {
                "digits and a unit: 30s, 10m, 24h, 7d, 1h30m / 数字加单位"
            };
            say(
                "wrong-form",
                pointer,
                false,
                format!("{shown} is of no known form"),
                format!("{shown} 的写法不对"),
                Some(hint.to_owned()),
            );
        }
        Wrong::PropertyNames { error: inner } => {
            let names = match inner.kind() {
                Wrong::Enum { options } => {
                    options.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                Wrong::OneOfNotValid { context } | Wrong::AnyOf { context } => words(context),
                _ => Vec::new(),
            };
            let name = inner.instance().as_str().unwrap_or_default().to_owned();
            say(
                "unknown-field",
                child(&pointer, &name),
                true,
                format!("there is no field \"{name}\" here"),
                format!("此处没有字段“{name}”"),
                near(&name, names.iter().map(String::as_str)),
            );
        }
        other => {
            let keyword = other.keyword().to_owned();
            say(
                "wrong-form",
                pointer,
                false,
                format!("{shown} does not fit: {error}"),
                format!("{shown} 不符合要求({keyword})"),
                None,
            );
        }
    }
}

/// What YAML and programs write for infinity and for no number at all.
fn is_no_finite_number(text: &str) -> bool {
    let word = text.trim_start_matches(['-', '+']).trim_start_matches('.').to_ascii_lowercase();
    matches!(word.as_str(), "inf" | "nan" | "infinity")
}

/// The pattern of the text (a span of time, a share) that could stand at the place of an error, when no number could.
fn wanted<'s>(error: &Failure<'_>, schema: &'s Value) -> Option<&'s str> {
    match error.kind() {
        Wrong::Type { .. } => {
            let path = error.schema_path().as_str();
            let place = path.rsplit_once('/').map_or("", |(head, _)| head);
            followed(schema, place)?.get("pattern")?.as_str()
        }
        Wrong::AnyOf { context } | Wrong::OneOfNotValid { context } => {
            let refused = context.iter().all(|branch| refused_by_type(branch, error.instance_path().as_str()));
            context.iter().flatten().filter(|_| refused).find_map(|e| wanted(e, schema))
        }
        _ => None,
    }
}

/// The part of a schema at a path that leads through references.
fn followed<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    let target = |node: &'s Value| {
        let to = node.get("$ref").and_then(Value::as_str)?;
        schema.pointer(to.strip_prefix('#')?)
    };
    let mut node = schema;
    for part in path.split('/').skip(1) {
        let inside = |node: &'s Value| match node {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part.replace("~1", "/").replace("~0", "~")),
        };
        node = match part {
            "$ref" => target(node)?,
            _ => inside(node).or_else(|| target(node).and_then(inside))?,
        };
    }
    Some(target(node).unwrap_or(node))
}

/// A value as one short word.
fn short(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() > 40 {
                let head: String = text.chars().take(37).collect();
                format!("{head}...")
            } else {
                text
            }
        }
    }
}

fn types(kind: &jsonschema::error::TypeKind) -> String {
    let one = |t: &jsonschema::JsonType| match t.to_string().as_str() {
        "object" => "map".to_owned(),
        "array" => "list".to_owned(),
        other => other.to_owned(),
    };
    match kind {
        jsonschema::error::TypeKind::Single(t) => one(t),
        jsonschema::error::TypeKind::Multiple(set) => {
            set.iter().map(|t| one(&t)).filter(|t| t != "null").collect::<Vec<_>>().join(" or ")
        }
    }
}

fn chinese(kinds: &str) -> String {
    let mut out = kinds.to_owned();
    for (en, zh) in [
        (" or ", "或"),
        ("string", "文字"),
        ("integer", "整数"),
        ("number", "数字"),
        ("boolean", " true/false"),
        ("map", "映射"),
        ("list", "列表"),
    ] {
        out = out.replace(en, zh);
    }
    out
}

/// The words that the branches of a choice allow.
fn words(context: &[Vec<Failure<'static>>]) -> Vec<String> {
    let mut out = Vec::new();
    for error in context.iter().flatten() {
        match error.kind() {
            Wrong::Constant { expected_value } => out.extend(expected_value.as_str().map(str::to_owned)),
            Wrong::Enum { options } => {
                out.extend(options.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            }
            Wrong::AnyOf { context } | Wrong::OneOfNotValid { context } => out.extend(words(context)),
            _ => {}
        }
    }
    out
}

/// What the branches of a choice ask for, in words.
fn expected(context: &[Vec<Failure<'static>>]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for error in context.iter().flatten() {
        match error.kind() {
            Wrong::Type { kind } => {
                let kinds = types(kind);
                if kinds != "null" && !out.contains(&kinds) {
                    out.push(kinds);
                }
            }
            Wrong::AnyOf { context } | Wrong::OneOfNotValid { context } => {
                for one in expected(context) {
                    if !out.contains(&one) {
                        out.push(one);
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// True when a branch of a choice is out of the question for the type of the value.
fn refused_by_type(branch: &[Failure<'static>], pointer: &str) -> bool {
    branch.iter().any(|e| {
        e.instance_path().as_str() == pointer
            && match e.kind() {
                Wrong::Type { .. } => true,
                Wrong::AnyOf { context } | Wrong::OneOfNotValid { context } => {
                    context.iter().all(|b| refused_by_type(b, pointer))
                }
                _ => false,
            }
    })
}

/// The fields that the map at fault may have.
fn properties(error: &Failure<'_>, schema: &Value) -> Vec<String> {
    let path = error.schema_path().as_str().to_owned();
    let parent = path.rsplit_once('/').map_or("", |(head, _)| head);
    let at = schema.pointer(parent).and_then(|s| s.get("properties")).and_then(Value::as_object);
    at.map(|map| map.keys().cloned().collect()).unwrap_or_default()
}
