//! What expressions give, what they refuse, and that neither crashes.

use super::*;
use crate::record::{Kind, Type, columns, time};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder, NullArray,
    StringArray, StringBuilder, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use std::sync::Arc;

const AT: i64 = 1_772_325_000_000; // 2026-03-01T08:30:00+08:00

/// Three rows: a full one, one at the edges, one of nulls.
fn batch() -> RecordBatch {
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("restaurant"), Some("chain")]);
    tags.append_value(Vec::<Option<&str>>::new());
    tags.append_null();
    let tags = tags.finish();
    let mut penalties = ListBuilder::new(StringBuilder::new());
    penalties.append_value([Some("fine"), Some("warning")]);
    penalties.append_value([None::<&str>]);
    penalties.append_null();
    let penalties = penalties.finish();
    let amount = Decimal128Array::from(vec![Some(5_000_050), Some(0), None]);
    let times = TimestampMillisecondArray::from(vec![Some(AT), Some(0), None]);
    let arrays: Vec<(&str, Type, ArrayRef)> = vec![
        ("value", Type::Float, Arc::new(Float64Array::from(vec![Some(12.5), Some(f64::NAN), None]))),
        ("n", Type::Int, Arc::new(Int64Array::from(vec![Some(7), Some(i64::MAX), None]))),
        ("zero", Type::Int, Arc::new(Int64Array::from(vec![Some(0), Some(0), None]))),
        ("amount_cny", Type::Decimal, Arc::new(amount.with_data_type(Type::Decimal.arrow()))),
        ("name", Type::Text, Arc::new(StringArray::from(vec![Some("海曲路 12 号饭店"), Some(""), None]))),
        ("ok", Type::Bool, Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("occurred_at", Type::Time, Arc::new(times.with_data_type(Type::Time.arrow()))),
        ("valid_to", Type::Date, Arc::new(Date32Array::from(vec![Some(20_512), Some(0), None]))), // 2026-02-28
        ("tags", Type::TextList, Arc::new(tags)),
        ("penalty_types", Type::TextList, Arc::new(penalties)),
        (
            "metrics",
            Type::Json,
            Arc::new(StringArray::from(vec![
                Some(r#"{"cod":{"max":50},"unit":"mg/L","due":"2026-03-15","s":"3.5","list":[1,{"x":2}],"none":null}"#),
                Some("{broken"),
                None,
            ])),
        ),
        (
            "problems",
            Type::Json,
            Arc::new(StringArray::from(vec![
                Some(
                    r#"[{"grade":"serious","due_at":"2026-04-01"},{"grade":"minor","due_at":"2026-03-20"},{"grade":"minor"}]"#,
                ),
                Some("[]"),
                None,
            ])),
        ),
    ];
    let fields: Vec<Field> = arrays.iter().map(|(name, ty, _)| Field::new(*name, ty.arrow(), true)).collect();
    let arrays = arrays.into_iter().map(|(_, _, a)| a).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn show(array: &ArrayRef) -> String {
    let options = FormatOptions::new().with_null("null");
    let format = ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    (0..array.len())
        .map(|row| match array.data_type() {
            DataType::Timestamp(..) if array.is_valid(row) => {
                time::rfc3339(TimestampMillisecondArray::from(array.to_data()).value(row))
            }
            _ => format.value(row).to_string(),
        })
        .collect::<Vec<_>>()
        .join(" | ")
}

fn compile(text: &str, want: Want) -> Expression {
    match Expression::compile(text, &batch().schema(), want) {
        Ok(expression) => expression,
        Err(e) => panic!("{text}: {e:?}"),
    }
}

fn refused(text: &str, want: Want) -> ExpressionError {
    match Expression::compile(text, &batch().schema(), want) {
        Ok(expression) => panic!("{text} was accepted: {expression:?}"),
        Err(e) => e,
    }
}

/// Each line: what the place wants, the expression, the three results, how many failures.
#[test]
fn expressions_give_these_rows() {
    let table: &[(Want, &str, &str, usize)] = &[
        (Want::Number, "value", "12.5 | null | null", 1),
        (Want::Number, "value * 2 + 1", "26.0 | null | null", 1),
        (Want::Number, "1 / 2", "0.5 | 0.5 | 0.5", 0),
        (Want::Number, "n / 2", "3.5 | 4.611686018427388e18 | null", 0),
        (Want::Number, "n / zero", "null | null | null", 2),
        (Want::Number, "n % zero", "null | null | null", 2),
        (Want::Number, "value % zero", "null | null | null", 2),
        (Want::Number, "coalesce(n / zero, -1)", "-1.0 | -1.0 | -1.0", 2),
        (Want::Any, "n + 1", "8 | null | null", 1),
        (Want::Any, "n * 2", "14 | null | null", 1),
        (Want::Any, "-n", "-7 | -9223372036854775807 | null", 0),
        (Want::Any, "n - -1", "8 | null | null", 1),
        (Want::Any, "amount_cny + 1", "50001.50 | 1.00 | null", 0),
        (Want::Any, "amount_cny * 2", "100001.0 | 0.0 | null", 0),
        (Want::Any, "abs(0 - amount_cny)", "50000.50 | 0.00 | null", 0),
        (Want::Any, "1 / 0", "null | null | null", 0),
        (Want::Number, "zero * -1.0", "0.0 | 0.0 | null", 0),
        (Want::Bool, "zero * -1.0 = 0", "true | true | null", 0),
        (Want::Bool, "value > 10", "true | null | null", 1),
        (Want::Bool, "amount_cny >= 50000.5", "true | false | null", 0),
        (Want::Bool, "amount_cny > 50000", "true | false | null", 0),
        (Want::Bool, "n BETWEEN 1 AND 7", "true | false | null", 0),
        (Want::Bool, "n NOT BETWEEN 1 AND 7.5", "false | true | null", 0),
        (Want::Bool, "n IN (7, 8)", "true | false | null", 0),
        (Want::Bool, "n NOT IN (1, 2.5)", "true | true | null", 0),
        (Want::Bool, "name IN ('', 'x')", "false | true | null", 0),
        (Want::Bool, "name LIKE '%饭店'", "true | false | null", 0),
        (Want::Bool, "name NOT LIKE '%饭店'", "false | true | null", 0),
        (Want::Bool, "name IS NULL", "false | false | true", 0),
        (Want::Bool, "name IS NOT NULL AND ok", "true | false | false", 0),
        (Want::Bool, "ok IS NOT TRUE", "false | true | true", 0),
        (Want::Bool, "NOT ok OR n = 7", "true | true | null", 0),
        (Want::Bool, "ok AND NULL", "null | false | null", 0),
        (Want::Bool, "NULL", "null | null | null", 0),
        (Want::Bool, "n = NULL", "null | null | null", 0),
        (Want::Bool, "n IS DISTINCT FROM 7", "false | true | true", 0),
        (Want::Bool, "n IN (NULL, 7)", "true | null | null", 0),
        (Want::Any, "CASE WHEN n = 7 THEN 'seven' WHEN ok THEN 'x' END", "seven | null | null", 0),
        (Want::Number, "CASE n WHEN 7 THEN 1 ELSE 2.5 END", "1.0 | 2.5 | 2.5", 0),
        (Want::Number, "CASE WHEN zero <> 0 THEN n / zero ELSE 0 END", "0.0 | 0.0 | 0.0", 0),
        (Want::Number, "ok", "1.0 | 0.0 | null", 0),
        (Want::Bool, "occurred_at >= '2026-01-01T00:00:00+08:00'", "true | false | null", 0),
        (Want::Bool, "'2026-01-01' < occurred_at", "true | false | null", 0),
        (Want::Bool, "valid_to < local_date(occurred_at)", "true | false | null", 0),
        (Want::Bool, "valid_to < occurred_at", "true | true | null", 0),
        (Want::Bool, "valid_to = '2026-02-28'", "true | false | null", 0),
        (Want::Bool, "valid_to IN ('2026-02-28', '2026-03-01')", "true | false | null", 0),
        (Want::Bool, "occurred_at BETWEEN '2026-03-01' AND '2026-03-02'", "true | false | null", 0),
        (Want::Bool, "valid_to > DATE '2026-02-27'", "true | false | null", 0),
        (
            Want::Time,
            "occurred_at + INTERVAL '15 days'",
            "2026-03-16T08:30:00+08:00 | 1970-01-16T08:00:00+08:00 | null",
            0,
        ),
        (
            Want::Time,
            "occurred_at - INTERVAL '1 day 30 minutes'",
            "2026-02-28T08:00:00+08:00 | 1969-12-31T07:30:00+08:00 | null",
            0,
        ),
        (Want::Any, "valid_to + INTERVAL '1 month'", "2026-03-28 | 1970-02-01 | null", 0),
        (Want::Any, "valid_to + 2", "2026-03-02 | 1970-01-03 | null", 0),
        (Want::Any, "local_date(occurred_at) - valid_to", "1 | 0 | null", 0),
        (Want::Time, "valid_to", "2026-02-28T00:00:00+08:00 | 1970-01-01T00:00:00+08:00 | null", 0),
        (
            Want::Time,
            "valid_to + INTERVAL '36 hours'",
            "2026-03-01T12:00:00+08:00 | 1970-01-02T12:00:00+08:00 | null",
            0,
        ),
        (Want::Any, "CAST(name AS int)", "null | null | null", 2),
        (Want::Any, "TRY_CAST(name AS int)", "null | null | null", 0),
        (Want::Any, "n::text", "7 | 9223372036854775807 | null", 0),
        (Want::Any, "CAST(occurred_at AS text)", "2026-03-01T08:30:00+08:00 | 1970-01-01T08:00:00+08:00 | null", 0),
        (Want::Any, "CAST(occurred_at AS date)", "2026-03-01 | 1970-01-01 | null", 0),
        (Want::Column(Type::Int), "value", "12 | null | null", 1),
        (Want::Column(Type::Decimal), "value", "12.50 | null | null", 1),
        (Want::Column(Type::Decimal), "n", "7.00 | null | null", 1),
        (Want::Column(Type::TextList), "tags", "[restaurant, chain] | [] | null", 0),
        (Want::Column(Type::Date), "'2026-03-01'", "2026-03-01 | 2026-03-01 | 2026-03-01", 0),
        (Want::Column(Type::Json), "metrics", "* | {broken | null", 0),
        (Want::Text, "n || '号'", "7号 | 9223372036854775807号 | null", 0),
        (Want::Text, "concat(name, '-', n)", "海曲路 12 号饭店-7 | -9223372036854775807 | -", 0),
        (Want::Text, "substr(name, 1, 3)", "海曲路 |  | null", 0),
        (Want::Text, "substr(name, 0, 3)", "海曲 |  | null", 0),
        (Want::Text, "substring(name from 5 for 2)", "12 |  | null", 0),
        (Want::Text, "left(name, -2)", "海曲路 12 号 |  | null", 0),
        (Want::Text, "right(name, 2)", "饭店 |  | null", 0),
        (Want::Text, "trim(both '海店' from name)", "曲路 12 号饭 |  | null", 0),
        (Want::Any, "position('路' in name)", "3 | 0 | null", 0),
        (Want::Any, "extract(hour from occurred_at)", "8 | 8 | null", 0),
        (Want::Any, "extract(year from valid_to)", "2026 | 1970 | null", 0),
        (Want::Any, "date_part('isodow', occurred_at)", "7 | 4 | null", 0),
        (
            Want::Time,
            "date_trunc('week', occurred_at)",
            "2026-02-23T00:00:00+08:00 | 1969-12-29T00:00:00+08:00 | null",
            0,
        ),
        (
            Want::Time,
            "date_trunc('quarter', occurred_at)",
            "2026-01-01T00:00:00+08:00 | 1970-01-01T00:00:00+08:00 | null",
            0,
        ),
        (Want::Any, "local_hour(occurred_at)", "8 | 8 | null", 0),
        (Want::Any, "local_weekday(occurred_at)", "7 | 4 | null", 0),
        (Want::Time, "make_time(valid_to, n, 0)", "2026-02-28T07:00:00+08:00 | null | null", 1),
        (Want::Any, "days_between(valid_to, occurred_at)", "1.3541666666666667 | 0.3333333333333333 | null", 0),
        (Want::Bool, "has_tag('chain')", "true | false | null", 0),
        (Want::Bool, "has_any_tag('x', 'restaurant')", "true | false | null", 0),
        (Want::Bool, "list_contains(penalty_types, 'fine')", "true | false | null", 0),
        (Want::Bool, "list_contains(penalty_types, name)", "false | false | null", 0),
        (Want::Any, "list_length(tags)", "2 | 0 | null", 0),
        (Want::Number, "json_number(metrics, 'cod.max')", "50.0 | null | null", 1),
        (Want::Number, "json_number(metrics, 's')", "3.5 | null | null", 1),
        (Want::Number, "json_number(metrics, 'unit')", "null | null | null", 2),
        (Want::Number, "json_number(metrics, 'cod.none.deep')", "null | null | null", 1),
        (Want::Number, "json_number(metrics, 'list.1.x')", "2.0 | null | null", 1),
        (Want::Text, "json_text('{\"a\":\"x\\\"\\u98df\"}', 'a')", "x\"食 | x\"食 | x\"食", 0),
        (Want::Text, "json_text('{\"a\":1} tail', 'a')", "null | null | null", 0),
        (Want::Text, "json_text('{\"a\":1,}', 'a')", "null | null | null", 0),
        (Want::Text, "json_text('[true]', '0')", "true | true | true", 0),
        (Want::Text, "json_text('[true]', 'x')", "null | null | null", 0),
        (Want::Number, "json_number('{\"a\":1e400}', 'a')", "null | null | null", 0),
        (
            Want::Number,
            "json_number('{\"a\":12345678901234567890}', 'a')",
            "1.2345678901234567e19 | 1.2345678901234567e19 | 1.2345678901234567e19",
            0,
        ),
        (Want::Number, "json_number('{\"a\":true}', 'a')", "null | null | null", 0),
        (Want::Text, "json_text(metrics, 'none')", "null | null | null", 1),
        (Want::Text, "json_text(metrics, 'list')", r#"[1,{"x":2}] | null | null"#, 1),
        (Want::Any, "json_date(metrics, 'due')", "2026-03-15 | null | null", 1),
        (Want::Any, "json_count(problems)", "3 | 0 | null", 0),
        (Want::Any, "json_count(problems, 'grade', 'minor')", "2 | 0 | null", 0),
        (Want::Any, "json_count(metrics)", "null | null | null", 2),
        (Want::Any, "json_min_date(problems, 'due_at')", "2026-03-20 | null | null", 0),
        (Want::Any, "json_min_date(problems, 'due_at', 'grade', 'serious')", "2026-04-01 | null | null", 0),
        (Want::Number, "extract_number(name, '([0-9]+) 号')", "12.0 | null | null", 0),
        (Want::Number, "text_number(name)", "null | null | null", 1),
        (Want::Bool, "regexp_like(name, '^海')", "true | false | null", 0),
        (Want::Text, "regexp_replace(name, '([0-9]+)', '<$1>')", "海曲路 <12> 号饭店 |  | null", 0),
        (Want::Number, "ln(zero)", "null | null | null", 2),
        (Want::Number, "sqrt(-n)", "null | null | null", 2),
        (Want::Number, "power(n, 20)", "7.9792266297612e16 | null | null", 1),
        (Want::Number, "exp(n)", "1096.6331584284585 | null | null", 1),
        (Want::Number, "round(value, 0)", "13.0 | null | null", 1),
        (Want::Number, "round(2.345, n)", "2.345 | null | null", 1),
        (Want::Any, "greatest(n, 8, NULL)", "8 | 9223372036854775807 | 8", 0),
        (Want::Any, "least(valid_to, '2026-01-01')", "2026-01-01 | 1970-01-01 | 2026-01-01", 0),
        (Want::Any, "nullif(n, 7)", "null | 9223372036854775807 | null", 0),
        (Want::Number, "distance_m(119.5, 35.4, n, 35.4)", "* | null | null", 1),
        (Want::Text, "replace(name, '号', '#')", "海曲路 12 #饭店 |  | null", 0),
        (Want::Text, "split_part(name, ' ', -1)", "号饭店 |  | null", 0),
        (Want::Text, "lpad(n::text, 3, '0')", "007 | 922 | null", 0),
    ];
    let batch = batch();
    let mut wrong = Vec::new();
    for (want, text, expected, failed) in table {
        let got = compile(text, *want).evaluate(&batch);
        let shown = show(&got.array);
        let same = shown.split(" | ").zip(expected.split(" | ")).all(|(a, b)| b == "*" || a == b);
        if !same || got.failed != *failed || got.array.len() != 3 {
            wrong.push(format!("{text}\n     is {shown} ({})\n  wants {expected} ({failed})", got.failed));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_documented_example_is_true() {
    let batch = batch().slice(0, 1);
    for doc in functions() {
        let got = compile(doc.example, Want::Bool).evaluate(&batch);
        assert_eq!(show(&got.array), "true", "{}", doc.example);
        assert!(doc.example.contains(&format!("{}(", doc.name)), "{}", doc.name);
        assert!(doc.signature.starts_with(doc.name) && !doc.meaning_zh.is_empty(), "{}", doc.name);
    }
}

#[test]
fn the_type_is_what_the_place_wants() {
    let batch = batch();
    for (want, text) in [
        (Want::Bool, "NULL"),
        (Want::Number, "NULL"),
        (Want::Number, "n"),
        (Want::Text, "valid_to"),
        (Want::Time, "NULL"),
        (Want::Column(Type::Decimal), "NULL"),
        (Want::Column(Type::TextList), "NULL"),
        (Want::Column(Type::Date), "occurred_at"),
    ] {
        let expected = match want {
            Want::Bool => Type::Bool.arrow(),
            Want::Number => Type::Float.arrow(),
            Want::Text => Type::Text.arrow(),
            Want::Time => Type::Time.arrow(),
            Want::Column(ty) => ty.arrow(),
            Want::Any => continue,
        };
        let expression = compile(text, want);
        assert_eq!(expression.evaluate(&batch).array.data_type(), &expected, "{text}");
        assert_eq!(expression.data_type(), &expected, "{text}");
        assert_eq!(expression.evaluate(&batch.slice(0, 0)).array.len(), 0, "{text}");
    }
}

/// Each line: the text, the code, a word of the message or hint, the place.
#[test]
fn refused_with_a_code_a_hint_and_a_place() {
    type Refused = (&'static str, &'static str, &'static str, Option<(usize, usize)>);
    let table: &[Refused] = &[
        ("valu > 1", "sql-column", "value", Some((0, 4))),
        ("n > 1 AND\n Value > 1", "sql-column", "value", Some((11, 5))),
        ("foo", "sql-column", "no column", Some((0, 3))),
        ("lenght(name) > 1", "sql-function", "length", Some((0, 6))),
        ("now() > occurred_at", "sql-function", "occurred_at", Some((0, 3))),
        ("current_timestamp > occurred_at", "sql-function", "occurred_at", Some((0, 17))),
        ("current_date > valid_to", "sql-function", "occurred_at", None),
        ("random() > 0.5", "sql-function", "same record", Some((0, 6))),
        ("uuid() = name", "sql-function", "same record", None),
        ("count(*) > 1", "sql-function", "measures", None),
        ("sum(value) > 1", "sql-function", "measures", None),
        ("max(value, n) > 1", "sql-function", "greatest", None),
        ("row_number() OVER () > 1", "sql-function", "", None),
        ("length(name) OVER () > 1", "sql-syntax", "", None),
        ("length(DISTINCT name) > 1", "sql-syntax", "", None),
        ("abs(*) > 1", "sql-syntax", "", None),
        ("abs(x => 1) > 1", "sql-syntax", "", None),
        ("pg_catalog.abs(1) > 1", "sql-syntax", "qualified", None),
        ("*", "sql-syntax", "", None),
        ("t.* = 1", "sql-syntax", "", None),
        ("t.value > 1", "sql-column", "", None),
        ("(SELECT 1) = 1", "sql-syntax", "subquery", None),
        ("n IN (SELECT 1)", "sql-syntax", "", None),
        ("EXISTS (SELECT 1)", "sql-syntax", "subquery", None),
        ("SELECT 1", "sql-syntax", "", None),
        ("1; DROP x", "sql-syntax", ";", Some((1, 1))),
        ("ok, ok", "sql-syntax", ",", Some((2, 1))),
        ("ok AS x", "sql-syntax", "AS", Some((3, 2))),
        ("ok -- AND false", "sql-syntax", "comment", Some((3, 12))),
        ("ok /* x */ AND ok", "sql-syntax", "comment", None),
        ("NOT a", "sql-column", "", Some((4, 1))),
        ("ok /* open", "sql-syntax", "", None),
        ("", "sql-syntax", "empty", None),
        ("   \n ", "sql-syntax", "empty", None),
        ("n >", "sql-syntax", "", None),
        ("(n > 1", "sql-syntax", "", None),
        ("n > 1)", "sql-syntax", ")", Some((5, 1))),
        ("name = 'open", "sql-syntax", "", None),
        ("name = \u{201c}x\u{201d}", "sql-syntax", "straight quotes", Some((7, 1))),
        ("length\u{ff08}name\u{ff09} > 1", "sql-syntax", "half-width", Some((6, 1))),
        ("$1 > 1", "sql-syntax", "literal", None),
        ("? > 1", "sql-syntax", "", None),
        (":x > 1", "sql-syntax", "", None),
        ("name = E'x'", "sql-syntax", "literal", None),
        ("name = $$x$$", "sql-syntax", "literal", None),
        ("name = X'41'", "sql-syntax", "literal", None),
        ("n & 1 = 1", "sql-syntax", "operator", None),
        ("n ^ 2 > 1", "sql-syntax", "operator", None),
        ("n << 2 > 1", "sql-syntax", "operator", None),
        ("name ~ 'x'", "sql-syntax", "regexp_like", None),
        ("metrics -> 'x' = 'y'", "sql-syntax", "json_text", None),
        ("tags[1] = 'x'", "sql-syntax", "", None),
        ("ARRAY[1] = tags", "sql-syntax", "", None),
        ("(n, n) = (1, 1)", "sql-syntax", "", None),
        ("ROW(1) = n", "sql-function", "", None),
        ("occurred_at AT TIME ZONE 'UTC' > '2026-01-01'", "sql-syntax", "+08:00", None),
        ("name LIKE 'x' ESCAPE '!'", "sql-syntax", "ESCAPE", None),
        ("name LIKE name", "sql-type", "pattern", None),
        ("name SIMILAR TO 'x'", "sql-syntax", "", None),
        ("name COLLATE \"C\" = 'x'", "sql-syntax", "", None),
        ("CAST(n AS json) = 'x'", "sql-type", "cast", None),
        ("CAST(n AS varchar(3)) = 'x'", "sql-type", "cast", None),
        ("CAST(n AS int[]) = 'x'", "sql-type", "cast", None),
        ("CAST(n AS regclass) = 'x'", "sql-type", "cast", None),
        ("INTERVAL '1 fortnight' + occurred_at > occurred_at", "sql-syntax", "interval", None),
        ("occurred_at + INTERVAL '1' YEAR TO MONTH > occurred_at", "sql-syntax", "", None),
        ("INTERVAL '1 day'", "sql-syntax", "interval", None),
        ("occurred_at - occurred_at > 1", "sql-type", "days_between", None),
        ("value > 'abc'", "sql-type", "text", Some((8, 5))),
        ("name > 5", "sql-type", "text_number", None),
        ("name + 1 > 5", "sql-type", "text_number", Some((0, 4))),
        ("ok + 1 > 5", "sql-type", "CASE", None),
        ("occurred_at > 'yesterday'", "sql-type", "yesterday", Some((14, 11))),
        ("valid_to > '2026-02-30'", "sql-type", "2026-02-30", None),
        ("tags = 'x'", "sql-type", "list_contains", None),
        ("ok > true", "sql-type", "order", None),
        ("n", "sql-type", "compare", Some((0, 1))),
        ("'x'", "sql-type", "", None),
        ("n AND ok", "sql-type", "compare", Some((0, 1))),
        ("NOT n", "sql-type", "compare", None),
        ("CASE WHEN n THEN true END", "sql-type", "", None),
        ("CASE WHEN ok THEN 1 ELSE 'x' END = 1", "sql-type", "", None),
        ("has_tag(name)", "sql-type", "quotes", None),
        ("has_tag()", "sql-type", "has_tag('tag')", None),
        ("round(1, 2, 3) = 1", "sql-type", "round(", None),
        ("json_count(problems, 'grade') > 1", "sql-type", "value", None),
        ("date_part('eon', occurred_at) = 1", "sql-type", "year", None),
        ("regexp_like(name, name)", "sql-type", "quotes", None),
        ("regexp_like(name, '(')", "sql-syntax", "pattern", None),
        ("regexp_like(name, '(?:(?:a{500}){500}){500}')", "sql-limit", "memory", None),
        ("1e999 > value", "sql-type", "finite", None),
        ("value = 0x10", "sql-syntax", "", None),
        ("left(name, 1.5) = 'x'", "sql-type", "", None),
    ];
    assert!(table.len() >= 40);
    let mut wrong = Vec::new();
    for (text, code, word, place) in table {
        match Expression::compile(text, &batch().schema(), Want::Bool) {
            Ok(_) => wrong.push(format!("{text} was accepted")),
            Err(e) => {
                let all = format!("{} {}", e.message, e.hint.clone().unwrap_or_default());
                if e.code != *code
                    || !all.contains(word)
                    || (place.is_some() && e.span != *place)
                    || e.message_zh.is_empty()
                {
                    wrong.push(format!("{text}: {e:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// On a thread with three quarters of the usual 2 MB, in a debug build: the caller has some frames of its own.
#[test]
fn huge_and_deep_texts_are_refused_quickly_without_exhausting_the_stack() {
    let texts = [
        vec!["1"; 2_000].join("+"),
        vec!["1"; 240].join("+"),
        vec!["n"; 240].join(" - "),
        vec!["ok"; 2_000].join(" OR "),
        vec!["n = 1"; 2_000].join(" AND "),
        "(".repeat(10_000),
        format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000)),
        format!("{}1{}", "(".repeat(200), ")".repeat(200)),
        "NOT ".repeat(400) + "ok",
        "- ".repeat(400) + "n",
        "+ ".repeat(400) + "n",
        "CASE WHEN ".repeat(100),
        "CASE ".repeat(249),
        "abs(".repeat(400) + "1" + &")".repeat(400),
        "[".repeat(400),
        "{".repeat(400),
        "a.".repeat(240) + "a = 1",
        "ok IS NULL ".to_owned() + &"IS NULL ".repeat(200),
        "n::int".to_owned() + &"::int".repeat(200) + " = 1",
        "INTERVAL ".repeat(400) + "'1'",
        "DATE ".repeat(400) + "'1'",
        "NOT EXISTS (".repeat(40),
        "n BETWEEN ".repeat(200) + "1",
        "x".repeat(9_000),
        format!("name = '{}'", "食".repeat(3_000)),
        "/*".repeat(400),
        "tags[".repeat(200),
        "n NOT ".repeat(200),
        "n = NOT ".repeat(160) + "n",
        "n BETWEEN 1 AND NOT ".repeat(90) + "ok",
        "ok IS DISTINCT FROM ".repeat(120) + "ok",
        "abs(n IS DISTINCT FROM ".repeat(15) + "n",
        format!("CAST(n AS {}", "ARRAY<".repeat(200)),
        format!("CAST(n AS {}", "STRUCT<a ".repeat(200)),
        "ARRAY<".repeat(200),
        "(SELECT ".repeat(100),
        "n IN (".repeat(60) + "n",
        "n LIKE ".repeat(200) + "n",
        "n AT TIME ZONE ".repeat(120) + "n",
        "n = ANY(".repeat(60) + "n",
        "CAST(n AS numeric(".repeat(50),
        "n OVER (PARTITION BY ".repeat(60),
        "abs(n) OVER (PARTITION BY ".repeat(60),
        "abs(n ORDER BY ".repeat(60),
        "ROW(".repeat(60),
        "n COLLATE ".repeat(100),
        "EXTRACT(year FROM ".repeat(60),
        "n IS JSON ".repeat(100),
        "{d ".repeat(100),
        "f(x => ".repeat(60),
        "n::numeric[".repeat(100),
    ];
    for text in texts {
        let shown: String = text.chars().take(30).collect();
        let started = std::time::Instant::now();
        let answer = std::thread::Builder::new()
            .stack_size(3 << 19)
            .spawn(move || Expression::compile(&text, &batch().schema(), Want::Bool).map(|_| ()))
            .unwrap()
            .join()
            .unwrap();
        assert!(answer.is_err(), "{shown}");
        assert!(started.elapsed().as_secs() < 2, "{shown}");
    }
}

/// The largest shapes that are accepted also fit the stack, when compiled, evaluated and dropped.
#[test]
fn texts_at_the_limits_compile_and_run_on_a_small_stack() {
    let nested = (0..22).fold("n".to_owned(), |inner, _| format!("({inner} + 1)"));
    let texts = [
        vec!["n = 1"; 120].join(" OR "),
        vec!["ok"; 249].join(" AND "),
        vec!["n"; 45].join("+") + " > 1",
        format!("{nested} > 1"),
        "NOT ".repeat(10) + "ok",
        "abs(".repeat(10) + "value" + &")".repeat(10) + " > 1",
        "(".repeat(25) + "ok" + &")".repeat(25),
        (0..10).fold("ok".to_owned(), |inner, _| format!("CASE WHEN {inner} THEN ok ELSE ok END")),
        (0..5).fold("n".to_owned(), |inner, _| format!("coalesce(nullif({inner}, 3), 1)")) + " > 1",
        format!("n IN ({})", (0..240).map(|i| i.to_string()).collect::<Vec<_>>().join(",")),
        vec!["name"; 100].join(" || ") + " = 'x'",
    ];
    for text in texts {
        let shown: String = text.chars().take(60).collect();
        let rows = std::thread::Builder::new()
            .stack_size(3 << 19)
            .spawn(move || compile(&text, Want::Bool).evaluate(&batch()).array.len())
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(rows, 3, "{shown}");
    }
}

#[test]
fn every_column_of_every_kind_can_be_read_by_its_plain_name() {
    for kind in Kind::OUTSIDE.into_iter().chain([Kind::Signal, Kind::Value]) {
        let all = columns(kind);
        let schema = Schema::new(all.iter().map(|c| c.field()).collect::<Vec<_>>());
        for column in all {
            let text = format!("{} IS NOT NULL", column.name);
            let expression = Expression::compile(&text, &schema, Want::Bool);
            assert_eq!(expression.as_ref().map(|e| e.reads().to_vec()), Ok(vec![column.name.to_owned()]), "{text}");
        }
    }
}

#[test]
fn reads_are_sorted_and_hold_what_functions_read_unasked() {
    let expression = compile("value > n AND has_tag('x') AND value < 3", Want::Bool);
    assert_eq!(expression.reads(), ["n", "tags", "value"]);
    assert_eq!(compile("1 = 1", Want::Bool).reads(), [""; 0]);
    assert_eq!(expression.text(), "value > n AND has_tag('x') AND value < 3");
    let without = Schema::new(vec![Field::new("n", Type::Int.arrow(), true)]);
    assert_eq!(Expression::compile("has_tag('x')", &without, Want::Bool).unwrap_err().code, "sql-column");
}

#[test]
fn a_column_named_with_a_dot_is_read_by_its_dotted_name() {
    let schema = Schema::new(vec![Field::new("links.type", DataType::Utf8, true)]);
    let expression = Expression::compile("links.type = 'sensor'", &schema, Want::Bool).unwrap();
    assert_eq!(expression.reads(), ["links.type"]);
}

#[test]
fn columns_of_other_arrow_types_read_like_ours() {
    let dictionary: arrow::array::DictionaryArray<arrow::datatypes::Int32Type> = vec!["a", "b"].into_iter().collect();
    let arrays: Vec<(&str, ArrayRef, &str, &str)> = vec![
        ("a", Arc::new(arrow::array::Int32Array::from(vec![1, 2])), "a + 1", "2 | 3"),
        ("b", Arc::new(arrow::array::UInt64Array::from(vec![1, u64::MAX])), "b", "1 | null"),
        ("c", Arc::new(arrow::array::Float32Array::from(vec![1.5, f32::INFINITY])), "c * 2", "3.0 | null"),
        ("d", Arc::new(dictionary), "d = 'a'", "true | false"),
        ("e", Arc::new(arrow::array::TimestampSecondArray::from(vec![0, 60])), "local_hour(e)", "8 | 8"),
        ("f", Arc::new(arrow::array::StringViewArray::from(vec!["x", "yy"])), "length(f)", "1 | 2"),
        ("g", Arc::new(NullArray::new(2)), "g > 1", "null | null"),
        ("h", Arc::new(arrow::array::Date64Array::from(vec![0, 86_400_000])), "h = '1970-01-02'", "false | true"),
    ];
    for (name, array, text, expected) in arrays {
        let schema = Arc::new(Schema::new(vec![Field::new(name, array.data_type().clone(), true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
        let got = Expression::compile(text, &schema, Want::Any).unwrap().evaluate(&batch);
        assert_eq!(show(&got.array), expected, "{text}");
    }
}

#[test]
fn a_batch_without_the_columns_gives_nulls_and_counts_them() {
    let expression = compile("value > 1", Want::Bool);
    let other =
        RecordBatch::try_from_iter([("value", Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef)]).unwrap();
    let got = expression.evaluate(&other);
    assert_eq!((show(&got.array).as_str(), got.failed), ("null | null", 2));
}

#[test]
fn texts_that_would_grow_without_bound_are_null() {
    let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, true)]));
    let long = "a".repeat(2_000);
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from(vec![long.as_str(), "a"]))]).unwrap();
    for text in [
        format!("length(replace(replace(t, 'a', '{0}'), 'a', '{0}'))", "a".repeat(100)),
        format!("length(regexp_replace(t, 'a', '{}'))", "b".repeat(200)),
        vec!["t"; 40].join(" || "),
    ] {
        let got = Expression::compile(&text, &schema, Want::Any).unwrap().evaluate(&batch);
        assert!(got.array.is_null(0) && got.array.is_valid(1) && got.failed > 0, "{text}");
    }
}

const SLICED: &[&str] = &[
    "n / zero + 1",
    "n * n",
    "value / n > 3 AND n % 3 <> 0 OR ok",
    "n IN (1, 2, NULL) AND value < 100",
    "NOT ok AND 10 / n > 1 AND value > 0",
    "CASE WHEN n > 0 THEN value / n WHEN ok THEN ln(value) ELSE NULL END",
    "coalesce(nullif(n, 3) * 4611686018427387904, zero) BETWEEN 1 AND value",
    "CAST(name AS int) + n",
    "occurred_at + INTERVAL '1 month' > '2026-03-01'",
    "concat(name, n) LIKE '%1%'",
];

type Row = (Option<i64>, Option<f64>, Option<bool>, Option<String>);

fn random_batch(rows: &[Row]) -> RecordBatch {
    let times: TimestampMillisecondArray = rows.iter().map(|r| r.0).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>())),
        ("zero", Arc::new(rows.iter().map(|r| r.0.map(|n| n % 2)).collect::<Int64Array>())),
        ("value", Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>())),
        ("ok", Arc::new(rows.iter().map(|r| r.2).collect::<BooleanArray>())),
        ("name", Arc::new(rows.iter().map(|r| r.3.clone()).collect::<StringArray>())),
        ("occurred_at", Arc::new(times.with_data_type(Type::Time.arrow()))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}") {
        if let Ok(expression) = Expression::compile(&text, &batch().schema(), Want::Any) {
            prop_assert_eq!(expression.evaluate(&batch()).array.len(), 3);
        }
    }

    #[test]
    fn arbitrary_sql_words_never_panic(words in prop::collection::vec(prop::sample::select(vec![
        "(", ")", "n", "value", "name", "ok", "tags", "occurred_at", "valid_to", "1", "2.5", "'x'", "'2026-01-01'", "NULL",
        "AND", "OR", "NOT", "+", "-", "*", "/", "%", "=", "<", "||", ",", "CASE", "WHEN", "THEN", "ELSE", "END", "IS", "IN",
        "BETWEEN", "LIKE", "abs(", "coalesce(", "CAST(", "AS", "int", "INTERVAL", "'1 day'", "::text", "substr(", "greatest(",
    ]), 0..25)) {
        let text = words.join(" ");
        if let Ok(expression) = Expression::compile(&text, &batch().schema(), Want::Any) {
            prop_assert_eq!(expression.evaluate(&batch()).array.len(), 3);
        }
    }

    #[test]
    fn a_batch_gives_what_its_slices_give(
        rows in prop::collection::vec((
            prop::option::of(prop_oneof![-3..4_i64, any::<i64>()]),
            prop::option::of(prop_oneof![-3.0..200.0_f64, any::<f64>(), Just(f64::NAN), Just(-0.0)]),
            prop::option::of(any::<bool>()),
            prop::option::of("[0-9a]{0,3}"),
        ), 1..60),
        cut in 0..60_usize,
    ) {
        let batch = random_batch(&rows);
        let cut = cut.min(rows.len());
        for text in SLICED {
            let expression = Expression::compile(text, &batch.schema(), Want::Any).unwrap();
            let whole = expression.evaluate(&batch).array;
            let parts = [expression.evaluate(&batch.slice(0, cut)).array, expression.evaluate(&batch.slice(cut, rows.len() - cut)).array];
            let joined = arrow::compute::concat(&[parts[0].as_ref(), parts[1].as_ref()]).unwrap();
            prop_assert_eq!(show(&whole), show(&joined), "{}", text);
            let alone: Vec<String> = (0..rows.len()).map(|i| show(&expression.evaluate(&batch.slice(i, 1)).array)).collect();
            prop_assert_eq!(show(&whole), alone.join(" | "), "{}", text);
        }
    }
}

#[test]
fn errors_name_the_place_in_characters() {
    let error = refused("name = '食品' AND valeu > 1", Want::Bool);
    assert_eq!(error.span, Some((16, 5)), "{error:?}");
}
