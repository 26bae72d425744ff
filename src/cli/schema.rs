//! `forewarn schema`: the JSON Schema of a form, for editors and for departments.

use super::CliError;
use crate::pack::read::form_schema;
use crate::record::{Check, Column, ENVELOPE, Kind, Required, Type};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which form
    #[arg(value_enum)]
    pub(crate) form: Form,
}

/// The forms that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// 记录 A record in our own envelope
    Record,
    /// 来源 rules/sources/<name>.yaml
    Source,
    /// 指标 rules/<industry>/<indicator>.yaml
    Rule,
    /// 预案 rules/<industry>/plan.yaml
    Plan,
    /// 模型 models/<name>.yaml
    Model,
    /// 预警 A warning as departments get it
    Warning,
}

pub(crate) fn run(args: &SchemaArgs) -> Result<u8, CliError> {
    let schema = match args.form {
        Form::Record => record(),
        Form::Source => form_schema("source"),
        Form::Rule => form_schema("rule"),
        Form::Plan => form_schema("plan"),
        Form::Model => form_schema("model"),
        Form::Warning => crate::response::warning_schema(),
    };
    let schema = serde_json::to_string_pretty(&schema).map_err(CliError::stage)?;
    println!("{schema}");
    Ok(0)
}

/// The schema of a record in our own envelope: one branch a kind, chosen by the field `kind`.
fn record() -> Value {
    let branches = Kind::OUTSIDE.map(|kind| {
        let mut properties = Map::new();
        let mut required = vec![json!("kind")];
        properties.insert("kind".into(), json!({ "const": kind.word() }));
        for column in ENVELOPE.iter().chain(kind.own_columns()) {
            put(&mut properties, column.path, value(column));
            if column.required == Required::Yes && !column.path.contains('.') {
                required.push(json!(column.path));
            }
        }
        properties.insert(
            "attrs".into(),
            json!({ "type": "object", "description": "扩展字段: those that the source file lists; others are dropped and counted" }),
        );
        json!({
            "if": { "properties": { "kind": { "const": kind.word() } }, "required": ["kind"] },
            "then": { "properties": properties, "required": required },
        })
    });
    let kinds: Vec<&str> = Kind::OUTSIDE.iter().map(|k| k.word()).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Record",
        "description": "监管记录 in our own envelope; times RFC 3339 with +08:00, money as decimal text in CNY",
        "type": "object",
        "properties": { "kind": { "enum": kinds, "description": "记录类型" } },
        "required": ["kind"],
        "allOf": branches,
    })
}

/// Puts a value at a path with dots, with objects on the way.
fn put(properties: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            properties.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let outer =
                properties.entry(head.to_owned()).or_insert_with(|| json!({ "type": "object", "properties": {} }));
            if let Some(inner) = outer.get_mut("properties").and_then(Value::as_object_mut) {
                put(inner, rest, value);
            }
        }
    }
}

/// The schema of one column.
fn value(column: &Column) -> Value {
    let mut schema = match column.ty {
        Type::Text => json!({ "type": "string" }),
        Type::Int => json!({ "type": "integer" }),
        Type::Float => json!({ "type": "number" }),
        Type::Decimal => json!({ "type": ["string", "number"], "pattern": "^-?\\d{1,16}(\\.\\d{1,2})?$" }),
        Type::Bool => json!({ "type": "boolean" }),
        Type::Time => json!({ "type": "string", "format": "date-time" }),
        Type::Date => json!({ "type": "string", "format": "date" }),
        Type::TextList => json!({ "type": "array", "items": { "type": "string" } }),
        Type::Json => json!({ "type": ["object", "array"] }),
    };
    let more = match column.check {
        Check::OneOf(words) => json!({ "enum": words }),
        Check::Id(length) => json!({ "minLength": 1, "maxLength": length }),
        Check::FreeText(length) => json!({ "maxLength": length }),
        Check::Uscc => json!({ "pattern": "^[0-9A-HJ-NPQRTUWXY]{18}$" }),
        Check::ObjectId => json!({ "pattern": "^[^:]+:.+$" }),
        Check::Department => json!({ "pattern": "^[a-z0-9_]+(@\\d{6})?$" }),
        Check::Region => json!({ "pattern": "^\\d{6}$" }),
        Check::Street => json!({ "pattern": "^\\d{9}$" }),
        Check::Hash => json!({ "pattern": "^[0-9a-fA-F]{64}$" }),
        Check::Range(lo, hi) if column.ty != Type::Decimal => json!({ "minimum": lo, "maximum": hi }),
        Check::Range(..) | Check::Any | Check::Plausible => json!({}),
    };
    if let (Some(schema), Value::Object(more)) = (schema.as_object_mut(), more) {
        schema.extend(more);
        schema.insert("description".into(), json!(column.meaning));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_fits_the_record_schema_and_its_near_misses_do_not() {
        let validator = jsonschema::draft7::new(&record()).unwrap();
        let good = json!({
            "kind": "iot", "record_id": "r1", "source_system": "gas_scada", "source_dept": "urban_management",
            "object_id": "equip:371102-0007", "industry": "gas", "region": "371102",
            "occurred_at": "2026-05-08T09:30:00+08:00", "sensor_id": "s1", "sensor_type": "gas_lel", "value": 27.5,
            "unit": "%LEL", "status": "good", "limits": { "hi": 20 },
        });
        assert!(validator.is_valid(&good));
        for (field, bad) in [
            ("kind", json!("sensor")),
            ("value", json!("27.5")),
            ("status", json!("fine")),
            ("region", json!("37110")),
            ("limits", json!({ "hi": "20" })),
        ] {
            let mut record = good.clone();
            record[field] = bad;
            assert!(!validator.is_valid(&record), "{field}");
        }
    }

    #[test]
    fn every_form_has_a_schema_that_a_validator_takes() {
        for form in ["source", "rule", "plan", "model", "industry", "departments", "regions", "calendar", "deadlines"] {
            assert!(jsonschema::draft7::new(&form_schema(form)).is_ok(), "{form}");
        }
    }
}
