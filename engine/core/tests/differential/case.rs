//! One case: files of the same columns, a load of them, and the comparison.

use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use headrace_core::error::Result;
use headrace_core::iceberg::predicate::Predicate;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::common::{Folder, load_parquet, load_table, task};
use crate::filters::Filter;
use crate::random::values::{Nulls, array, flat_type, nested_type, pick};
use crate::random::{files, raw};
use crate::requests::{Request, tested_type};

/// Files of a case, and how they are loaded.
pub struct Case {
    folder: Folder,
    locations: Vec<String>,
    described: Vec<String>,
    /// The rows of all files, where they are known
    written: Option<RecordBatch>,
    request: Request,
    filter: Filter,
    options: Value,
}

impl Case {
    /// Columns that are not nested.
    pub fn flat(random: &mut StdRng) -> Case {
        let count = random.random_range(1..6);
        let types = (0..count).map(|_| flat_type(random)).collect();
        let rows = pick(random, &[0, 1, 2, 7, 8, 9, 63, 64, 65, 200, 999, 1000, 3000]);
        Case::of_types(random, types, rows)
    }

    /// Lists, structs and maps, and some columns that are not nested.
    pub fn nested(random: &mut StdRng) -> Case {
        let mut types: Vec<DataType> = (0..random.random_range(0..2)).map(|_| flat_type(random)).collect();
        types.extend((0..random.random_range(1..4)).map(|_| nested_type(random, 2)));
        let rows = pick(random, &[0, 1, 8, 65, 200, 1000]);
        Case::of_types(random, types, rows)
    }

    /// Row groups of more rows than a batch or a bit-packed run of the formats' writers.
    pub fn large(random: &mut StdRng) -> Case {
        let types = vec![match random.random_range(0..8) {
            0 => nested_type(random, 1),
            _ => flat_type(random),
        }];
        let rows = pick(random, &[8191, 8192, 8193, 20_000, 70_000]);
        Case::of_types(random, types, rows)
    }

    /// Columns that only a low-level writer makes.
    pub fn raw(random: &mut StdRng) -> Case {
        let columns = raw::declarations(random);
        let mut case = Case::empty(random);
        let mut first = 0;
        for _ in 0..random.random_range(1..4) {
            let rows = pick(random, &[1, 8, 65, 1000]);
            let (bytes, words) = raw::write(random, &columns, rows, first);
            case.add(&bytes, words);
            first += rows;
        }
        case.filter = Filter::random(random, first, &[]);
        let positions = (0..columns.len() + 2).collect();
        case.request = Request::Files { columns: positions };
        case
    }

    fn of_types(random: &mut StdRng, types: Vec<DataType>, most: usize) -> Case {
        let mut case = Case::empty(random);
        let nulls: Vec<Nulls> = types.iter().map(|_| Nulls::random(random)).collect();
        let named = |(at, data_type): (usize, &DataType)| {
            let never = nulls[at] == Nulls::Never && *data_type != DataType::Null;
            Field::new(format!("c{at}"), data_type.clone(), !never || at % 2 == 0)
        };
        let tested = [Field::new("row", DataType::Int64, false), Field::new("dice", DataType::Int32, false)];
        let fields: Vec<Field> = tested.into_iter().chain(types.iter().enumerate().map(named)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut parts = Vec::new();
        let mut first = 0;
        // Other types come of a file without: one way for all files of a load
        let embedded = random.random_bool(0.7);
        for _ in 0..pick(random, &[1, 1, 2, 3]) {
            let rows = if random.random_bool(0.5) { most } else { random.random_range(0..=most) };
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from_iter_values(first..first + rows as i64)),
                Arc::new(Int32Array::from_iter_values((0..rows).map(|_| random.random_range(0..1000)))),
            ];
            columns.extend(types.iter().zip(&nulls).map(|(each, nulls)| array(random, each, rows, *nulls)));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            let (bytes, words) = files::write(random, &batch, embedded);
            case.add(&bytes, format!("{rows} rows, {words}"));
            parts.push(batch);
            first += rows as i64;
        }
        let written = arrow_select::concat::concat_batches(&schema, &parts).unwrap();
        let testable: Vec<usize> = (2..schema.fields().len())
            .take_while(|at| !schema.field(*at).data_type().is_nested())
            .filter(|at| tested_type(schema.field(*at).data_type()).is_some())
            .collect();
        case.filter = Filter::random(random, written.num_rows(), &testable);
        case.request = Request::random(random, &schema);
        case.written = Some(written);
        case
    }

    fn empty(random: &mut StdRng) -> Case {
        let limit = match random.random_range(0..10) {
            0 => json!(pick(random, &[0, 1, 2, 7, 64, 1000])),
            _ => Value::Null,
        };
        let strings = pick(random, &["view", "view", "large_string"]);
        let dates = pick(random, &["date", "date", "seconds"]);
        let categories: Vec<String> = (0..8).filter(|_| random.random_bool(0.15)).map(|at| format!("c{at}")).collect();
        Case {
            folder: Folder::new("differential"),
            locations: Vec::new(),
            described: Vec::new(),
            written: None,
            request: Request::Files { columns: vec![] },
            filter: Filter::All,
            options: json!({"limit": limit, "strings": strings, "dates": dates, "categories": categories,
                "threads": random.random_range(1..4)}),
        }
    }

    fn add(&mut self, bytes: &[u8], described: String) {
        self.locations.push(self.folder.put(&self.locations.len().to_string(), bytes));
        self.described.push(described);
    }

    fn load(&self, decoder: &str) -> Result<RecordBatch> {
        let mut options = self.options.clone();
        options["decoder"] = json!(decoder);
        let filter = self.filter.json(&|at| self.tested_type(at));
        match &self.request {
            Request::Files { columns } => {
                options["columns"] = json!(columns);
                load_parquet(self.locations.clone(), &options, Predicate::from_json(&filter.to_string())?)
            }
            Request::Table { schema, .. } => {
                options["schema"] = schema.clone();
                // What only the filter names is in the table, too.
                options["table_schema"] = self.table_schema(schema);
                let tasks = self.locations.iter().cloned().map(task).collect();
                load_table(tasks, &options, Some(&filter))
            }
        }
    }

    fn tested_type(&self, at: usize) -> String {
        let written = self.written.as_ref().unwrap();
        tested_type(written.schema().field(at).data_type()).unwrap()
    }

    fn table_schema(&self, projected: &Value) -> Value {
        let mut fields = projected["fields"].as_array().unwrap().clone();
        let written = self.written.as_ref().unwrap().schema();
        for (at, field) in written.fields().iter().enumerate() {
            if let (Some(name), false) = (tested_type(field.data_type()), self.request.columns().contains(&at)) {
                fields.push(json!({"id": at + 1, "name": field.name(), "required": false, "type": name}));
            }
        }
        json!({"type": "struct", "fields": fields})
    }

    /// Loads with both decoders and compares; what differs, in words.
    pub fn check(&self, _: &mut StdRng) -> std::result::Result<(), String> {
        let reference = self.load("reference").map_err(|error| format!("the reference fails: {error}"))?;
        let direct = self.load("direct").map_err(|error| format!("only the direct decoder fails: {error}"))?;
        for column in direct.columns() {
            let valid = column.to_data().validate_full();
            valid.map_err(|error| format!("the direct decoder made an invalid array: {error}"))?;
        }
        if direct.schema() != reference.schema() {
            return Err(format!("schemas differ: {:?}, expected {:?}", direct.schema(), reference.schema()));
        }
        for (at, field) in reference.schema().fields().iter().enumerate() {
            same(direct.column(at), reference.column(at))
                .map_err(|what| format!("direct and reference differ in {:?}: {what}", field.name()))?;
        }
        let Some(expected) = self.expected() else { return Ok(()) };
        for (at, column) in self.request.columns().iter().zip(reference.columns()) {
            let written = arrow_cast::cast(expected.column(*at), column.data_type());
            let written = written.map_err(|error| format!("column {at} of what was written: {error}"))?;
            same(column, &written).map_err(|what| format!("column {at} is not what was written: {what}"))?;
        }
        Ok(())
    }

    /// The rows that were written and pass.
    fn expected(&self) -> Option<RecordBatch> {
        let written = self.written.as_ref()?;
        let limit = self.options["limit"].as_u64().map_or(usize::MAX, |limit| limit as usize);
        let mut left = limit;
        let keep = (0..written.num_rows()).map(|at| {
            let kept = left > 0 && self.filter.keeps(written, at);
            left -= usize::from(kept);
            kept
        });
        let keep: BooleanArray = keep.map(Some).collect();
        Some(arrow_select::filter::filter_record_batch(written, &keep).unwrap())
    }
}

fn same(left: &ArrayRef, right: &ArrayRef) -> std::result::Result<(), String> {
    if left.data_type() != right.data_type() {
        return Err(format!("type {}, expected {}", left.data_type(), right.data_type()));
    }
    if left.len() != right.len() {
        return Err(format!("{} rows, expected {}", left.len(), right.len()));
    }
    if left.as_ref() == right.as_ref() {
        return Ok(());
    }
    let row = (0..left.len()).find(|row| left.slice(*row, 1).as_ref() != right.slice(*row, 1).as_ref());
    let Some(row) = row else { return Err("unequal as a whole, and equal row by row".into()) };
    let (found, wanted) = (left.slice(row, 1), right.slice(row, 1));
    Err(format!("type {}, row {row} of {}: {found:?}, expected {wanted:?}", left.data_type(), left.len()))
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(written) = &self.written {
            let schema = written.schema();
            let columns = schema.fields().iter().map(|field| {
                let null = if field.is_nullable() { "" } else { " not null" };
                format!("{}: {}{null}", field.name(), field.data_type())
            });
            writeln!(out, "  columns {}", columns.collect::<Vec<_>>().join(", "))?;
        }
        writeln!(out, "  {:?}\n  {:?}, {}", self.request, self.filter, self.options)?;
        self.described.iter().zip(&self.locations).try_for_each(|(each, at)| writeln!(out, "  file {at}: {each}"))
    }
}
