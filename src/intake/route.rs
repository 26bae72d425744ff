//! Enriches rows from the registry, gives them their keys, and splits them into blocks per log partition.
//!
//! In: validated rows of one source. Out: blocks with one key space each, the home copy first, then one copy per
//! declared route. Promise: rows of one key go to one partition, in the order they came; what enrichment used stands in
//! the row; a row of an unknown object goes on, marked and counted.
//! Not here: whether a rule may read a key space (`pack`), duplicates (`engine`).

use super::columns::{Cell, Columns};
use super::mapper::{MapError, Options, row_schema};
use super::registry::{Registry, Version, topic_rows};
use crate::log::{Block, RegistryRow};
use crate::pack::expression::{Expression, Want};
use crate::pack::{Pack, Source};
use crate::record::{ENRICHMENT, Kind, columns, partition, warning_hash};
use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatchOptions, StringArray, StringBuilder, UInt32Array, new_null_array,
};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key space of the home copy.
const HOME: &str = "object";
/// The key space whose rows go to every partition.
const BROADCAST: &str = "broadcast";
/// Most keys that one row may be copied to by one route: a firm's lifts, a recall's users.
const KEYS_MAX: usize = 1_000;
/// Columns that every copy carries, whatever its route lists.
const ALWAYS: [&str; 9] = [
    "record_id",
    "source_system",
    "source_dept",
    "occurred_at",
    "revision",
    "industry",
    "region",
    "entity_id",
    "object_id",
];

/// The columns of a log block of a source in a key space: the rows' columns (or those that the route carries, and the
/// ones every copy has), enrichment, and the key.
#[must_use]
pub fn block_schema(pack: &Pack, source: &Source, space: &str) -> SchemaRef {
    let carried = source.routes.iter().find(|r| r.space == space).map_or(&[][..], |r| r.columns.as_slice());
    let schema = enriched_schema(pack, source);
    let mut fields: Vec<Arc<Field>> = kept_columns(&schema, if space == HOME { &[] } else { carried })
        .into_iter()
        .map(|i| schema.fields()[i].clone())
        .collect();
    fields.push(Arc::new(Field::new(Block::KEY, DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
}

/// Places of the columns that a copy has; all when the route lists none.
fn kept_columns(schema: &Schema, carried: &[String]) -> Vec<usize> {
    let enrichment = |name: &str| ENRICHMENT.iter().any(|c| c.name == name);
    let own = [Block::RAW, Block::OFFSET];
    let keep = |name: &str| {
        carried.is_empty()
            || carried.iter().any(|c| c == name)
            || ALWAYS.contains(&name)
            || own.contains(&name)
            || enrichment(name)
    };
    (0..schema.fields().len()).filter(|i| keep(schema.field(*i).name())).collect()
}

/// Row columns and enrichment: what the key of a route may read.
fn enriched_schema(pack: &Pack, source: &Source) -> SchemaRef {
    let rows = row_schema(pack, source);
    let mut fields: Vec<Arc<Field>> = rows.fields().iter().cloned().collect();
    if source.kind != Kind::Registry {
        let taken: Vec<String> = fields.iter().map(|f| f.name().clone()).collect();
        fields.extend(ENRICHMENT.iter().filter(|c| !taken.iter().any(|t| t == c.name)).map(|c| Arc::new(c.field())));
    }
    Arc::new(Schema::new(fields))
}

/// Blocks for the log, and what goes beside it.
#[derive(Clone, Debug, Default)]
pub struct Routed {
    /// Partition and block, ordered by partition, the home copy first.
    pub blocks: Vec<(u32, Block)>,
    /// Versions for the compacted registry topic.
    pub registry: Vec<RegistryRow>,
    /// Rows whose object the registry does not know, by kind.
    pub unknown_objects: BTreeMap<Kind, u64>,
    /// Rows that have no region, and whose object's is not known either.
    pub without_region: u64,
    /// Rows that a route's key expression failed for; they have no copy there.
    pub unrouted: u64,
}

impl Routed {
    fn add(&mut self, more: Routed) {
        self.blocks.extend(more.blocks);
        self.registry.extend(more.registry);
        for (kind, rows) in more.unknown_objects {
            *self.unknown_objects.entry(kind).or_default() += rows;
        }
        self.without_region += more.without_region;
        self.unrouted += more.unrouted;
    }
}

/// A block, where it goes, and which of the rows it was made of.
struct Placed {
    partition: u32,
    /// The home copy first, then the routes.
    order: usize,
    block: Block,
    rows: Vec<u32>,
}

#[derive(Debug)]
struct CompiledRoute {
    space: Arc<str>,
    key: Expression,
    /// Columns of the kind that this feed cannot fill but the key reads: null.
    absent: Vec<Arc<Field>>,
    columns: Vec<usize>,
    schema: SchemaRef,
}

#[derive(Debug)]
struct Plan {
    name: Arc<str>,
    kind: Kind,
    enriched: SchemaRef,
    home: SchemaRef,
    routes: Vec<CompiledRoute>,
}

/// Enriches and routes the rows of all sources of a pack.
#[derive(Debug)]
pub struct Router {
    partitions: u32,
    registry: Registry,
    plans: BTreeMap<String, Plan>,
}

impl Router {
    /// A router for all sources of a pack, with an empty registry.
    ///
    /// # Errors
    /// [`MapError::Expression`] when the key of a route does not compile; `check` finds these before.
    pub fn new(pack: Arc<Pack>, options: &Options) -> Result<Router, MapError> {
        let mut plans = BTreeMap::new();
        for (name, source) in &pack.sources {
            let enriched = enriched_schema(&pack, source);
            let routes = source
                .routes
                .iter()
                .map(|route| {
                    let (key, absent) =
                        compile_key(&route.key.0, &enriched, source.kind).map_err(|message| MapError::Expression {
                            source_name: name.clone(),
                            field: format!("routes, {}", route.space),
                            message,
                        })?;
                    let columns = kept_columns(&enriched, &route.columns);
                    let mut fields: Vec<Arc<Field>> = columns.iter().map(|i| enriched.fields()[*i].clone()).collect();
                    fields.push(Arc::new(Field::new(Block::KEY, DataType::Utf8, true)));
                    let schema = Arc::new(Schema::new(fields));
                    Ok(CompiledRoute { space: route.space.as_str().into(), key, absent, columns, schema })
                })
                .collect::<Result<Vec<_>, MapError>>()?;
            let plan = Plan {
                name: name.as_str().into(),
                kind: source.kind,
                home: block_schema(&pack, source, HOME),
                enriched,
                routes,
            };
            plans.insert(name.clone(), plan);
        }
        Ok(Router { partitions: options.partitions.max(1), registry: Registry::default(), plans })
    }

    /// The registry, to load it before the first row.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The registry as bytes, for a snapshot.
    #[must_use]
    pub fn save_registry(&self) -> Vec<u8> {
        self.registry.save()
    }

    /// Enriches and routes rows of a source. Registry rows are applied to the registry first.
    ///
    /// # Panics
    /// When the pack of this router has no such source, or the rows are not those of its mapper.
    pub fn route(&mut self, source: &str, rows: &RecordBatch) -> Routed {
        let (mut routed, blocks) = self.placed(source, rows);
        routed.blocks = blocks.into_iter().map(|placed| (placed.partition, placed.block)).collect();
        routed
    }

    /// Enriches and routes runs of rows, source by source in turn: the same as routing one after the other, but runs of
    /// one source are taken together, because a run of a few rows costs nearly as much as one of thousands.
    ///
    /// # Panics
    /// As [`Router::route`].
    pub fn route_runs(&mut self, runs: &[(Arc<str>, RecordBatch)]) -> Routed {
        let mut all = Routed::default();
        // A registry row changes what the rows behind it are enriched with.
        if runs.iter().any(|(source, _)| self.plans.get(&**source).is_none_or(|p| p.kind == Kind::Registry)) {
            for (source, rows) in runs {
                all.add(self.route(source, rows));
            }
            return all;
        }
        let mut by_source: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, (source, _)) in runs.iter().enumerate() {
            by_source.entry(source).or_default().push(i);
        }
        let mut of_run: Vec<Vec<(u32, Block)>> = vec![Vec::new(); runs.len()];
        for (source, of_source) in by_source {
            let batches = of_source.iter().map(|i| &runs[*i].1);
            let rows = match of_source.as_slice() {
                [one] => runs[*one].1.clone(),
                _ => concat_batches(runs[of_source[0]].1.schema_ref(), batches).expect("a source's rows are alike"),
            };
            let (routed, blocks) = self.placed(source, &rows);
            all.add(routed);
            let mut next = vec![0; blocks.len()];
            let mut end = 0;
            for i in of_source {
                end += runs[i].1.num_rows();
                for (placed, next) in blocks.iter().zip(&mut next) {
                    let from = *next;
                    *next = placed.rows.partition_point(|row| (*row as usize) < end);
                    if *next > from {
                        let rows = placed.block.rows.slice(from, *next - from);
                        of_run[i].push((placed.partition, Block { rows, ..placed.block.clone() }));
                    }
                }
            }
        }
        all.blocks = of_run.into_iter().flatten().collect();
        all
    }

    fn placed(&mut self, source: &str, rows: &RecordBatch) -> (Routed, Vec<Placed>) {
        let plan = self.plans.get(source).expect("mapper and router are made from one pack");
        let mut routed = Routed::default();
        if rows.num_rows() == 0 {
            return (routed, Vec::new());
        }
        let mut former = None;
        let enriched = if plan.kind == Kind::Registry {
            routed.registry = topic_rows(rows);
            former = former_rows(&mut self.registry, rows);
            rows.clone()
        } else {
            enrich(&self.registry, rows, plan.kind, &plan.enriched, &mut routed)
        };
        let mut blocks = Vec::new();
        let home = Share {
            plan,
            space: HOME.into(),
            home: true,
            schema: &plan.home,
            columns: (0..enriched.num_columns()).collect(),
        };
        home.split(&enriched, &home_keys(&enriched, plan.kind), self.partitions, 0, &mut blocks);
        for (i, route) in plan.routes.iter().enumerate() {
            let keys = route_keys(route, &enriched, &mut routed.unrouted);
            // A version that moves an object to another firm goes to the old firm too: it must learn of the loss.
            let keys = match &former {
                Some(former) => {
                    let mut ignored = 0;
                    merge_keys(keys, &route_keys(route, former, &mut ignored))
                }
                None => keys,
            };
            let share = Share {
                plan,
                space: route.space.clone(),
                home: false,
                schema: &route.schema,
                columns: route.columns.clone(),
            };
            share.split(&enriched, &keys, self.partitions, i + 1, &mut blocks);
        }
        blocks.sort_by_key(|placed: &Placed| (placed.partition, placed.order));
        (routed, blocks)
    }
}

/// Applies registry rows one by one and gives the same rows with the relations (enterprise, group, region, street) that
/// each object had before its row; `None` when no row changed any.
fn former_rows(registry: &mut Registry, rows: &RecordBatch) -> Option<RecordBatch> {
    const RELATIONS: [&str; 4] = ["entity_id", "group_id", "region", "street"];
    let relation = |version: &Version, name: &str| match name {
        "entity_id" => version.entity_id.clone(),
        "group_id" => version.group_id.clone(),
        "region" => version.region.clone(),
        _ => version.street.clone(),
    };
    let mut builders: Vec<(usize, StringBuilder)> =
        RELATIONS.iter().filter_map(|name| Some((rows.schema().index_of(name).ok()?, StringBuilder::new()))).collect();
    let objects: &StringArray = rows.column_by_name("object_id")?.as_string_opt()?;
    let mut changed = false;
    for row in 0..rows.num_rows() {
        let before = objects.is_valid(row).then(|| registry.on(objects.value(row), i64::MAX).cloned()).flatten();
        for (column, builder) in &mut builders {
            let schema = rows.schema();
            let now: &StringArray = rows.column(*column).as_string_opt()?;
            let now = now.is_valid(row).then(|| now.value(row).to_owned());
            let then = before.as_ref().map_or_else(|| now.clone(), |v| relation(v, schema.field(*column).name()));
            changed |= then != now;
            builder.append_option(then);
        }
        registry.apply(&rows.slice(row, 1));
    }
    if !changed {
        return None;
    }
    let mut columns = rows.columns().to_vec();
    for (column, mut builder) in builders {
        columns[column] = Arc::new(builder.finish());
    }
    RecordBatch::try_new(rows.schema(), columns).ok()
}

/// Keys of each row of one copy, in the order of the rows.
type Keys<'a> = Vec<(u32, Cow<'a, str>)>;

fn merge_keys<'a>(mut keys: Keys<'a>, more: &Keys<'a>) -> Keys<'a> {
    keys.extend(more.iter().cloned());
    keys.sort();
    keys.dedup();
    keys
}

fn home_keys(rows: &RecordBatch, kind: Kind) -> Keys<'_> {
    let order: &[&str] = match kind {
        // A warning's changes, and what is fed back about it, share its id.
        Kind::Feedback => &["warning_id", "record_id"],
        _ => &["object_id", "entity_id", "location_id", "street", "record_id"],
    };
    let columns: Vec<&StringArray> =
        order.iter().filter_map(|name| rows.column_by_name(name)?.as_string_opt()).collect();
    (0..rows.num_rows())
        .map(|row| {
            let key = columns.iter().find(|c| c.is_valid(row)).map_or("", |c| c.value(row));
            (u32::try_from(row).expect("a batch holds fewer than 2^32 rows"), Cow::Borrowed(key))
        })
        .collect()
}

/// Compiles the key of a route. It may read every column of the kind; those that the feed cannot fill are given back,
/// to be added as nulls.
fn compile_key(sql: &str, enriched: &Schema, kind: Kind) -> Result<(Expression, Vec<Arc<Field>>), String> {
    if let Ok(key) = Expression::compile(sql, enriched, Want::Any) {
        return Ok((key, Vec::new()));
    }
    let mut fields: Vec<Arc<Field>> = enriched.fields().iter().cloned().collect();
    let absent: Vec<Arc<Field>> = columns(kind)
        .iter()
        .filter(|c| enriched.column_with_name(c.name).is_none())
        .map(|c| Arc::new(c.field()))
        .collect();
    fields.extend(absent.iter().cloned());
    let key = Expression::compile(sql, &Schema::new(fields), Want::Any).map_err(|error| error.message)?;
    Ok((key, absent))
}

fn route_keys(route: &CompiledRoute, rows: &RecordBatch, unrouted: &mut u64) -> Keys<'static> {
    let found = if route.absent.is_empty() {
        route.key.evaluate(rows)
    } else {
        let fields: Vec<Arc<Field>> = rows.schema().fields().iter().chain(&route.absent).cloned().collect();
        let nulls = route.absent.iter().map(|f| new_null_array(f.data_type(), rows.num_rows()));
        let arrays = rows.columns().iter().cloned().chain(nulls).collect();
        let wide =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("the nulls have the fields' types");
        route.key.evaluate(&wide)
    };
    *unrouted += found.failed as u64;
    let mut keys = Keys::new();
    if let Some(lists) = found.array.as_list_opt::<i32>() {
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            let items = arrow::compute::cast(&lists.value(row), &DataType::Utf8).ok();
            let items = items.as_ref().and_then(|i| i.as_string_opt::<i32>());
            let mut of_row: Vec<&str> = items.into_iter().flatten().flatten().collect();
            of_row.sort_unstable();
            of_row.dedup();
            if of_row.len() > KEYS_MAX {
                *unrouted += 1;
                continue;
            }
            let row = u32::try_from(row).expect("a batch holds fewer than 2^32 rows");
            keys.extend(of_row.into_iter().map(|k| (row, Cow::Owned(k.to_owned()))));
        }
        return keys;
    }
    let texts = arrow::compute::cast(&found.array, &DataType::Utf8).ok();
    let texts = texts.as_ref().and_then(|t| t.as_string_opt::<i32>());
    for (row, text) in texts.into_iter().flat_map(|t| t.iter().enumerate()) {
        if let Some(text) = text {
            let row = u32::try_from(row).expect("a batch holds fewer than 2^32 rows");
            keys.push((row, Cow::Owned(text.to_owned())));
        }
    }
    keys
}

/// One copy of rows of a source.
struct Share<'a> {
    plan: &'a Plan,
    space: Arc<str>,
    home: bool,
    schema: &'a SchemaRef,
    columns: Vec<usize>,
}

impl Share<'_> {
    fn split(&self, rows: &RecordBatch, keys: &Keys, partitions: u32, order: usize, blocks: &mut Vec<Placed>) {
        // Per partition: which of the keys.
        let mut parts: Vec<Vec<usize>> = vec![Vec::new(); partitions as usize];
        let broadcast = *self.space == *BROADCAST;
        if broadcast || partitions == 1 {
            parts.fill((0..keys.len()).collect());
        } else {
            for (i, (_, key)) in keys.iter().enumerate() {
                // Feedback goes to the partition of its warning, whose key hash stands in the id.
                let warning = if self.home && self.plan.kind == Kind::Feedback { warning_hash(key) } else { None };
                let one = match warning {
                    Some(hash) => usize::try_from(hash % u64::from(partitions)).unwrap_or(0),
                    None => partition(&self.space, key, partitions) as usize,
                };
                if let Some(part) = parts.get_mut(one) {
                    part.push(i);
                }
            }
        }
        for (part, of_part) in (0..partitions).zip(parts).filter(|(_, of_part)| !of_part.is_empty()) {
            let indices: Vec<u32> = of_part.iter().map(|i| keys[*i].0).collect();
            let texts = StringArray::from_iter_values(of_part.iter().map(|i| &keys[*i].1));
            let whole =
                indices.len() == rows.num_rows() && indices.iter().enumerate().all(|(i, row)| i == *row as usize);
            let indices = UInt32Array::from(indices);
            let mut arrays: Vec<ArrayRef> = self
                .columns
                .iter()
                .map(|c| match whole {
                    true => rows.column(*c).clone(),
                    false => take(rows.column(*c), &indices, None).expect("the indices lie inside the batch"),
                })
                .collect();
            arrays.push(Arc::new(texts));
            let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
            let rows = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
                .expect("the columns are those of the schema");
            let block = Block {
                source: self.plan.name.clone(),
                kind: self.plan.kind,
                space: self.space.clone(),
                home: self.home,
                rows,
            };
            blocks.push(Placed { partition: part, order, block, rows: indices.values().to_vec() });
        }
    }
}

/// Adds the enrichment columns and fills region and street where the row has none.
fn enrich(registry: &Registry, rows: &RecordBatch, kind: Kind, schema: &SchemaRef, routed: &mut Routed) -> RecordBatch {
    let n = rows.num_rows();
    let column = |name: &str| rows.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
    let (objects, entities) = (column("object_id"), column("entity_id"));
    let (regions, streets) = (column("region"), column("street"));
    let occurred = rows.column_by_name("occurred_at").and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
    fn at(column: Option<&StringArray>, row: usize) -> Option<&str> {
        column.filter(|c| c.is_valid(row)).map(|c| c.value(row))
    }
    let mut added = Columns::new(ENRICHMENT.iter().map(|c| c.ty));
    let (mut region_out, mut street_out) = (StringBuilder::new(), StringBuilder::new());
    fn cell(text: Option<&str>) -> Cell<'_> {
        text.map_or(Cell::Null, |t| Cell::Text(Cow::Borrowed(t)))
    }
    for row in 0..n {
        let time = occurred.map_or(0, |o| o.value(row));
        let (object, entity) = (at(objects, row), at(entities, row));
        let thing = object.and_then(|o| registry.at(o, time));
        let owner = entity.or_else(|| thing.and_then(|t| t.entity_id.as_deref()));
        // Most objects say all of it themselves.
        let firm = LazyCell::new(|| owner.and_then(|e| registry.at(e, time)));
        let found = thing.or_else(|| if object.is_none() { *firm } else { None });
        if found.is_none() && (object.is_some() || entity.is_some()) {
            *routed.unknown_objects.entry(kind).or_default() += 1;
        }
        // Class, group and whitelist belong to the enterprise; the object's own say goes first.
        let either = |get: fn(&Version) -> Option<&str>| found.and_then(get).or_else(|| firm.and_then(get));
        let whitelisted = found.and_then(|v| v.whitelisted(time)).or_else(|| firm.and_then(|v| v.whitelisted(time)));
        added.append(&[
            Cell::Bool(found.is_some()),
            cell(found.and_then(|v| v.name.as_deref())),
            cell(found.and_then(|v| v.object_type.as_deref())),
            cell(found.and_then(|v| v.status.as_deref())),
            cell(thing.and_then(|t| t.entity_id.as_deref()).or(entity)),
            found
                .and_then(|v| v.tags.as_ref())
                .map_or(Cell::Null, |t| Cell::List(t.iter().map(|t| Cow::Borrowed(t.as_str())).collect())),
            cell(either(|v| v.risk_class.as_deref())),
            whitelisted.map_or(Cell::Null, Cell::Bool),
            cell(either(|v| v.group_id.as_deref())),
            cell(found.and_then(|v| v.maintained_by.as_deref())),
        ]);
        let region = at(regions, row).or_else(|| either(|v| v.region.as_deref()));
        routed.without_region += u64::from(region.is_none());
        region_out.append_option(region);
        // A street goes with its region: another region's street would contradict the row.
        let same = at(regions, row).is_none_or(|r| found.and_then(|v| v.region.as_deref()) == Some(r));
        street_out.append_option(at(streets, row).or(found.and_then(|v| v.street.as_deref()).filter(|_| same)));
    }
    let mut arrays = rows.columns().to_vec();
    for (name, array) in [("region", region_out.finish()), ("street", street_out.finish())] {
        if let Ok(i) = rows.schema().index_of(name) {
            arrays[i] = Arc::new(array);
        }
    }
    let names: Vec<String> = rows.schema().fields().iter().map(|f| f.name().clone()).collect();
    for (column, array) in ENRICHMENT.iter().zip(added.finish()) {
        if !names.iter().any(|n| n == column.name) {
            arrays.push(array);
        }
    }
    RecordBatch::try_new(schema.clone(), arrays).expect("the columns are those of the schema")
}
