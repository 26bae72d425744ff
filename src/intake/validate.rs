//! Judges rows: every check of the record's columns, the rules that concern more than one column, units, and time.
//!
//! In: cells of the record's columns. Out: the same cells in their normal form (ids cleaned, codes upper case, readings
//! in the normal unit, free text masked) and the merge time of the row, or the first fault in the order of the columns.
//! Promise: a row that passes satisfies every check of the handbook's section 4; nothing is repaired that could become
//! another enterprise's. Not here: reading bytes (`decode`), the registry (`registry`).

use super::columns::Cell;
use super::decode::Fault;
use super::mask::{holds_person_id, mask_text};
use super::text;
use crate::log::Clock;
use crate::pack::{Ids, Pack, Source};
use crate::record::time::{day_of, local_day};
use crate::record::{Check, ENVELOPE, Kind, Millis, Required, SENSOR_TYPES, SensorType, Type, Uscc, convert};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One column of the rows of a source.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: Arc<str>,
    /// Place in our own envelope.
    pub(super) path: String,
    pub(super) ty: Type,
    pub(super) check: Check,
    pub(super) required: bool,
}

/// The columns of a source's rows: envelope, the kind's own that the feed can fill, further fields.
pub(super) fn layout(source: &Source) -> Vec<Spec> {
    let own = source.kind.own_columns().iter();
    let own = own.filter(|c| source.envelope || c.required == Required::Yes || source.record.contains_key(c.name));
    let mut specs: Vec<Spec> = ENVELOPE
        .iter()
        .chain(own)
        .map(|c| Spec {
            name: c.name.into(),
            path: c.path.to_owned(),
            ty: c.ty,
            check: match (c.check, source.ids) {
                (Check::Uscc, Ids::Other) => Check::Id(64),
                (check, _) => check,
            },
            required: c.required == Required::Yes,
        })
        .collect();
    for (name, attr) in &source.attrs {
        if specs.iter().all(|s| *s.name != **name) {
            let path = format!("attrs.{}", attr.value.as_ref().map_or(name.as_str(), |v| v.0.as_str()));
            specs.push(Spec { name: name.as_str().into(), path, ty: attr.ty, check: Check::Any, required: false });
        }
    }
    specs
}

/// Places of the columns that rules over more than one column read.
#[derive(Clone, Copy, Debug)]
struct Places {
    entity: usize,
    object: usize,
    street: usize,
    occurred: usize,
    received: usize,
    revision: usize,
    location: Option<usize>,
    action: Option<usize>,
    sensor_type: Option<usize>,
    value: Option<usize>,
    unit: Option<usize>,
    status: Option<usize>,
    valid_from: Option<usize>,
}

/// Judges the rows of one source.
#[derive(Debug)]
pub(super) struct Validator {
    specs: Vec<Spec>,
    places: Places,
    limits: Vec<usize>,
    departments: BTreeSet<String>,
    /// The department that was found last: most messages of a feed come from one.
    department: String,
    sensors: hashbrown::HashMap<&'static str, &'static SensorType>,
    kind: Kind,
    keyless: bool,
    skew: Millis,
    clock: Clock,
    /// With `clock: records`: nothing later than this is history.
    pub(super) latest: Option<Millis>,
    /// Texts whose width or invisible characters were put right.
    pub(super) cleaned: u64,
}

/// Kinds of penalty of 行政处罚法.
const PENALTIES: [&str; 13] = [
    "warning",
    "criticism",
    "fine",
    "confiscation",
    "suspend_license",
    "lower_qualification",
    "revoke_license",
    "restrict_business",
    "stop_production",
    "close",
    "ban_practice",
    "detention",
    "other",
];

/// First and last plausible day.
const PLAUSIBLE: (i64, i64) = (day_of(1990, 1, 1), day_of(2100, 12, 31));

/// What a feed says about the reading of a row beside its cells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared<'u> {
    /// The unit that the source file gives for the column behind `value`.
    pub(super) unit: Option<&'u str>,
    /// The reading was one of the feed's words for "no value" (9999).
    pub(super) sentinel: bool,
}

impl Validator {
    pub(super) fn new(pack: &Pack, source: &Source, specs: Vec<Spec>, clock: Clock) -> Validator {
        let find = |name: &str| specs.iter().position(|s| *s.name == *name);
        let envelope = |name: &str| find(name).expect("every source has the columns of the envelope");
        // Attributes may bear any name, so the columns of one kind are looked for in that kind only.
        let of = |kind: Kind, name: &str| if source.kind == kind { find(name) } else { None };
        let places = Places {
            entity: envelope("entity_id"),
            object: envelope("object_id"),
            street: envelope("street"),
            occurred: envelope("occurred_at"),
            received: envelope("received_at"),
            revision: envelope("revision"),
            location: of(Kind::Supervision, "location_id"),
            action: of(Kind::Supervision, "action"),
            sensor_type: of(Kind::Iot, "sensor_type"),
            value: of(Kind::Iot, "value"),
            unit: of(Kind::Iot, "unit"),
            status: of(Kind::Iot, "status"),
            valid_from: of(Kind::Registry, "valid_from"),
        };
        let limits = if source.kind == Kind::Iot && places.unit.is_some() {
            ["limits_lo", "limits_hi", "limits_hihi", "limits_design", "limits_rated"]
                .iter()
                .filter_map(|n| find(n))
                .collect()
        } else {
            Vec::new()
        };
        let default_skew = if source.kind == Kind::Iot { 120_000 } else { 600_000 };
        Validator {
            places,
            limits,
            departments: pack.departments.keys().cloned().collect(),
            department: String::new(),
            sensors: SENSOR_TYPES.iter().map(|s| (s.word, s)).collect(),
            kind: source.kind,
            keyless: source.kind == Kind::Feedback || source.routes.iter().any(|r| r.space == "broadcast"),
            skew: source.skew.map_or(default_skew, |s| s.millis()),
            clock,
            latest: None,
            cleaned: 0,
            specs,
        }
    }

    pub(super) fn specs(&self) -> &[Spec] {
        &self.specs
    }

    /// Judges one row and puts its cells into their normal form. `wall` is the wall time of the message.
    ///
    /// Returns the merge time: `received_at`, else `occurred_at`.
    pub(super) fn row(
        &mut self,
        cells: &mut [Cell<'_>],
        declared: Declared<'_>,
        wall: Millis,
    ) -> Result<Millis, Fault> {
        for i in 0..cells.len() {
            if cells[i].is_empty() && !self.specs[i].required {
                continue;
            }
            let cell = std::mem::take(&mut cells[i]);
            let found = self.cell(i, cell);
            let spec = &self.specs[i];
            cells[i] = match found {
                Ok(cell) => cell,
                Err(_) if i == self.places.entity && self.may_lack_entity(cells) => Cell::Null,
                Err((reason, detail)) => return Err(Fault::new(reason, detail).at(&spec.name)),
            };
            if spec.required && cells[i].is_empty() {
                return Err(Fault::new("missing", "a required column is missing or null").at(&spec.name));
            }
        }
        let p = self.places;
        if cells[p.revision].is_empty() {
            cells[p.revision] = Cell::Int(1);
        }
        // Weather is about a place, never about an object.
        let weather = p.action.is_some_and(|a| cells[a].text() == Some("weather"));
        let keyless = self.keyless || weather || self.may_lack_entity(cells);
        if !keyless && cells[p.object].is_empty() && cells[p.entity].is_empty() {
            return Err(Fault::new("key", "neither object_id nor entity_id"));
        }
        let occurred = cells[p.occurred].time().unwrap_or_default();
        let merge = cells[p.received].time().unwrap_or(occurred);
        let now = match self.clock {
            Clock::Wall => wall,
            Clock::Records => merge,
        };
        let beyond = self.latest.is_some_and(|latest| self.clock == Clock::Records && merge > latest);
        if beyond || occurred > now.saturating_add(self.skew) {
            let field = self.specs[p.occurred].name.clone();
            return Err(Fault::new("future", "further ahead of the clock than the source may be").at(&field));
        }
        if self.clock == Clock::Wall && cells[p.received].is_empty() {
            cells[p.received] = Cell::Time(wall);
        }
        if let Some(at) = p.valid_from
            && cells[at].is_empty()
        {
            cells[at] = Cell::Date(i32::try_from(local_day(occurred)).unwrap_or(0));
        }
        if self.kind == Kind::Iot {
            self.reading(cells, declared)?;
        }
        Ok(cells[p.received].time().unwrap_or(merge))
    }

    /// A clue, complaint or case report that names an object, a location or a street is worth keeping without, or with
    /// a wrong, enterprise code: people write down what they see.
    fn may_lack_entity(&self, cells: &[Cell<'_>]) -> bool {
        let p = self.places;
        let action = p.action.and_then(|a| cells[a].text());
        matches!(action, Some("clue" | "complaint" | "case_report"))
            && (!cells[p.object].is_empty()
                || !cells[p.street].is_empty()
                || p.location.is_some_and(|l| !cells[l].is_empty()))
    }

    /// A department of the list, or its branch in a region.
    fn is_department(&self, dept: &str) -> bool {
        let (id, region) = dept.split_once('@').map_or((dept, None), |(id, region)| (id, Some(region)));
        self.departments.contains(id) && region.is_none_or(|r| all_digits(r, 6))
    }

    fn code<'a>(&mut self, cell: Cell<'a>, reason: &'static str) -> Result<Cell<'a>, (&'static str, &'static str)> {
        match cell {
            Cell::Text(found) => match text::code(found) {
                Some((found, _)) if found.is_empty() => Ok(Cell::Null),
                Some((found, changed)) => {
                    self.cleaned += u64::from(changed);
                    Ok(Cell::Text(found))
                }
                None => Err((reason, "a control character inside")),
            },
            other => Ok(other),
        }
    }

    /// True when a text is in its normal form already and passes its check; false says nothing. Most texts of a feed
    /// pass here.
    fn passes(&self, check: Check, found: &str) -> bool {
        match check {
            Check::OneOf(words) => words.contains(&found),
            Check::Region => all_digits(found, 6),
            Check::Street => all_digits(found, 9),
            Check::Department => !found.is_empty() && self.department == found,
            // No identity number is shorter than 18 characters.
            Check::Id(max) => found.len() <= max.min(17) && text::is_code(found),
            Check::ObjectId => {
                let bytes = found.as_bytes();
                let type_end = bytes.iter().position(|b| !(b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_'));
                found.len() <= 64
                    && type_end.is_some_and(|end| end > 0 && end + 1 < bytes.len() && bytes[end] == b':')
                    && bytes.iter().fold(true, |so_far, b| so_far & (b.wrapping_sub(0x21) < 0x5e))
                    && !holds_person_id(found)
            }
            _ => false,
        }
    }

    fn cell<'a>(&mut self, i: usize, cell: Cell<'a>) -> Result<Cell<'a>, (&'static str, &'static str)> {
        if cell.is_empty() {
            return Ok(cell);
        }
        let check = self.specs[i].check;
        if let Cell::Text(found) = &cell
            && self.passes(check, found)
        {
            return Ok(cell);
        }
        match check {
            Check::Any => match cell {
                Cell::Text(found) if self.specs[i].ty == Type::Text => free(found, usize::MAX, &mut self.cleaned),
                Cell::List(items) => match (&*self.specs[i].name, self.kind) {
                    ("penalty_types", Kind::Supervision) if items.iter().any(|p| !PENALTIES.contains(&p.as_ref())) => {
                        Err(("enum", "none of the words of this column"))
                    }
                    ("participants", Kind::Inspection) if items.iter().any(|d| !self.is_department(d)) => {
                        Err(("department", "no department of the list"))
                    }
                    _ => Ok(Cell::List(items)),
                },
                other => Ok(other),
            },
            Check::FreeText(max) => match cell {
                Cell::Text(found) if &*self.specs[i].name == "geometry" => {
                    // Coordinates look like card numbers; so the text may hold nothing but coordinates.
                    let wkt = |b: u8| b.is_ascii_alphanumeric() || b" (),.+-".contains(&b);
                    if found.len() <= max && found.bytes().all(wkt) {
                        Ok(Cell::Text(found))
                    } else {
                        Err(("text", "no WKT geometry of at most the allowed length"))
                    }
                }
                Cell::Text(found) => free(found, max, &mut self.cleaned),
                other => Ok(other),
            },
            Check::OneOf(words) => {
                let cell = self.code(cell, "enum")?;
                match cell.text() {
                    Some(word) if !words.contains(&word) => Err(("enum", "none of the words of this column")),
                    _ => Ok(cell),
                }
            }
            Check::Id(max) => {
                let cell = self.code(cell, "id")?;
                match cell.text() {
                    Some(id) if id.len() > max && id.chars().count() > max => Err(("id", "longer than allowed")),
                    Some(id) if holds_person_id(id) => Err(("personal", "holds a person's identity number")),
                    // Prose where a code should be, and names of shops, may hold a telephone number.
                    Some(id) if !id.is_ascii() || id.contains(' ') => match mask_text(id) {
                        Some(masked) => Ok(Cell::Text(Cow::Owned(masked))),
                        None => Ok(cell),
                    },
                    _ => Ok(cell),
                }
            }
            Check::Uscc => {
                let Some(found) = cell.text() else { return Ok(cell) };
                if found.trim().is_empty() {
                    return Ok(Cell::Null);
                }
                match found.parse::<Uscc>() {
                    Ok(code) if code.as_str() == found => Ok(cell),
                    Ok(code) => {
                        self.cleaned += 1;
                        Ok(Cell::Text(Cow::Owned(code.as_str().to_owned())))
                    }
                    Err(_) => {
                        // Once more without invisible characters; a person's number in this place is told apart.
                        let cell = self.code(cell, "uscc")?;
                        match cell.text().map(|t| (t.parse::<Uscc>(), holds_person_id(t))) {
                            None => Ok(cell),
                            Some((Ok(code), _)) => Ok(Cell::Text(Cow::Owned(code.as_str().to_owned()))),
                            Some((_, true)) => Err(("personal", "holds a person's identity number")),
                            Some((Err(error), _)) => Err((
                                "uscc",
                                match error {
                                    crate::record::UsccError::Length => {
                                        "a unified social credit code has 18 characters"
                                    }
                                    crate::record::UsccError::Alphabet => "a character that no code has",
                                    crate::record::UsccError::Check => "the check character does not fit",
                                },
                            )),
                        }
                    }
                }
            }
            Check::ObjectId => {
                let cell = self.code(cell, "id")?;
                let Some(id) = cell.text() else { return Ok(cell) };
                if holds_person_id(id) {
                    return Err(("personal", "holds a person's identity number"));
                }
                let form = id.split_once(':').is_some_and(|(ty, code)| {
                    !ty.is_empty()
                        && ty.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                        && !code.is_empty()
                });
                if !form || id.chars().count() > 64 || id.contains(char::is_whitespace) {
                    return Err(("id", "not of the form type:code, at most 64 characters"));
                }
                Ok(cell)
            }
            Check::Department => {
                let cell = self.code(cell, "department")?;
                let Some(dept) = cell.text() else { return Ok(cell) };
                if !self.is_department(dept) {
                    return Err(("department", "no department of the list"));
                }
                dept.clone_into(&mut self.department);
                Ok(cell)
            }
            Check::Region => {
                let cell = self.code(cell, "region")?;
                match cell.text() {
                    Some(region) if !all_digits(region, 6) => Err(("region", "not six digits")),
                    _ => Ok(cell),
                }
            }
            Check::Street => {
                let cell = self.code(cell, "street")?;
                match cell.text() {
                    Some(street) if !all_digits(street, 9) => Err(("street", "not nine digits")),
                    _ => Ok(cell),
                }
            }
            Check::Range(low, high) => {
                let number = match cell {
                    Cell::Int(i) => i as f64,
                    Cell::Float(f) => f,
                    Cell::Decimal(d) => d as f64 / 100.0,
                    _ => return Ok(cell),
                };
                if (low..=high).contains(&number) {
                    Ok(cell)
                } else {
                    Err(("range", "outside the range of this column"))
                }
            }
            Check::Hash => {
                let cell = self.code(cell, "hash")?;
                match cell.text() {
                    Some(hash) if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                        Err(("hash", "not 64 hexadecimal digits"))
                    }
                    Some(hash) if hash.bytes().any(|b| b.is_ascii_uppercase()) => {
                        Ok(Cell::Text(Cow::Owned(hash.to_ascii_lowercase())))
                    }
                    _ => Ok(cell),
                }
            }
            Check::Plausible => {
                let day = match cell {
                    Cell::Time(at) => local_day(at),
                    Cell::Date(day) => i64::from(day),
                    _ => return Ok(cell),
                };
                if (PLAUSIBLE.0..=PLAUSIBLE.1).contains(&day) {
                    Ok(cell)
                } else {
                    Err(("time_range", "before 1990 or after 2100; is it seconds where milliseconds are declared?"))
                }
            }
        }
    }

    /// Type, unit and range of a reading.
    fn reading(&self, cells: &mut [Cell<'_>], declared: Declared<'_>) -> Result<(), Fault> {
        let p = self.places;
        let Some(type_at) = p.sensor_type else { return Ok(()) };
        let fault = |at: usize, reason, detail| Err(Fault::new(reason, detail).at(&self.specs[at].name));
        let Some(sensor) = cells[type_at].text().and_then(|word| self.sensors.get(word)) else {
            return fault(type_at, "sensor_type", "no sensor type of the list");
        };
        let Some(value_at) = p.value else { return Ok(()) };
        let unit = p.unit.and_then(|u| cells[u].text()).or(declared.unit);
        let unit = unit.filter(|u| *u != sensor.unit).map(str::to_owned);
        if let Some(unit) = unit {
            for at in self.limits.iter().copied().chain([value_at]) {
                let Cell::Float(sent) = cells[at] else { continue };
                match convert(sent, &unit, sensor.unit) {
                    Some(value) => cells[at] = Cell::Float(value),
                    None => {
                        return fault(
                            p.unit.unwrap_or(value_at),
                            "unit",
                            "does not measure what this sensor type measures",
                        );
                    }
                }
            }
        }
        if let Some(unit_at) = p.unit {
            cells[unit_at] = if sensor.unit.is_empty() { Cell::Null } else { Cell::Text(Cow::Borrowed(sensor.unit)) };
        }
        if let Cell::Float(value) = cells[value_at]
            && !(sensor.range.0..=sensor.range.1).contains(&value)
        {
            return fault(value_at, "range", "no sensor of this type can have measured it");
        }
        if declared.sentinel
            && cells[value_at].is_empty()
            && let Some(status) = p.status
            && cells[status].text() == Some("good")
        {
            cells[status] = Cell::Text(Cow::Borrowed("suspect"));
        }
        Ok(())
    }
}

fn all_digits(text: &str, n: usize) -> bool {
    text.len() == n && text.bytes().all(|b| b.is_ascii_digit())
}

/// Free text: cleaned, masked, not too long.
fn free<'a>(found: Cow<'a, str>, max: usize, cleaned: &mut u64) -> Result<Cell<'a>, (&'static str, &'static str)> {
    let (found, changed) = text::prose(found).ok_or(("text", "a control character inside a text"))?;
    *cleaned += u64::from(changed);
    if found.len() > max && found.chars().count() > max {
        return Err(("text", "longer than allowed"));
    }
    if found.is_empty() {
        return Ok(Cell::Null);
    }
    Ok(Cell::Text(mask_text(&found).map_or(found, Cow::Owned)))
}
