//! A manifest that is there -> its entries, whole, with what they inherit from the manifest filled in.
//!
//! Unlike `manifests`, which planning uses, nothing is left out: an entry that is carried into another manifest must stay
//! as it was. Must not know: which entries stay. Spec: Manifests, Sequence Number Inheritance, First Row ID Inheritance.

use super::data_file::{DataFile, Entry, Status};
use super::descriptor::Descriptor;
use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, Column, ColumnKind, Want, WantField};
use crate::iceberg::manifests::kind_of;
use crate::iceberg::predicate::Literal;
use crate::iceberg::scalar::decimal;
use crate::iceberg::schema::Type;
use crate::iceberg::specs::PartitionSpec;
use crate::runtime::Cancel;

/// Plain fields by slot: id, name, kind; the first four are the entry's own.
const PLAIN: [(i32, &str, ColumnKind); 12] = [
    (0, "status", ColumnKind::Integer),
    (1, "snapshot_id", ColumnKind::Integer),
    (3, "sequence_number", ColumnKind::Integer),
    (4, "file_sequence_number", ColumnKind::Integer),
    (134, "content", ColumnKind::Integer),
    (100, "file_path", ColumnKind::Bytes),
    (101, "file_format", ColumnKind::Bytes),
    (103, "record_count", ColumnKind::Integer),
    (104, "file_size_in_bytes", ColumnKind::Integer),
    (131, "key_metadata", ColumnKind::Bytes),
    (140, "sort_order_id", ColumnKind::Integer),
    (142, "first_row_id", ColumnKind::Integer),
];
const OF_ENTRY: usize = 4;
/// Maps by field id: id, name, ids of key and value, kind of value. Three slots each: bounds, keys, values.
const MAPS: [(i32, &str, i32, i32, ColumnKind); 6] = [
    (108, "column_sizes", 117, 118, ColumnKind::Integer),
    (109, "value_counts", 119, 120, ColumnKind::Integer),
    (110, "null_value_counts", 121, 122, ColumnKind::Integer),
    (137, "nan_value_counts", 138, 139, ColumnKind::Integer),
    (125, "lower_bounds", 126, 127, ColumnKind::Bytes),
    (128, "upper_bounds", 129, 130, ColumnKind::Bytes),
];
const FIRST_MAP: usize = PLAIN.len();
const SPLITS: usize = FIRST_MAP + 3 * MAPS.len();
const PARTITIONS: usize = SPLITS + 2;

/// Entries of a manifest of data files, deleted ones too, in order.
pub(super) fn entries(
    bytes: &[u8],
    manifest: &Descriptor,
    spec: &PartitionSpec,
    types: &[Option<Type>],
    cancel: &Cancel,
) -> Result<Vec<Entry>> {
    let (wanted, kinds) = layout(spec, types);
    let decoded = AvroFile::open(bytes)?.decode(&wanted, &kinds, cancel)?;
    let mut next_row_id = manifest.first_row_id;
    let row = |row: usize| entry(&decoded.columns, row, manifest, types, &mut next_row_id);
    (0..decoded.records).map(row).collect()
}

/// (live, deleted) files and rows of a manifest, and the spec its header names: for lists that do not say.
pub(super) fn count(bytes: &[u8], cancel: &Cancel) -> Result<([i64; 3], [i64; 3], Option<i32>)> {
    let file = AvroFile::open(bytes)?;
    let data_file = vec![plain(1, PLAIN[7])];
    let data_file = WantField { id: 2, name: "data_file".into(), required: true, want: Want::Record(data_file) };
    let kinds = [ColumnKind::Integer; 2];
    let decoded = file.decode(&[plain(0, PLAIN[0]), data_file], &kinds, cancel)?;
    let (mut files, mut rows) = ([0; 3], [0i64; 3]);
    for row in 0..decoded.records {
        let at = match decoded.columns[0].integer(row) {
            Some(1) => 0,
            Some(0) => 1,
            _ => 2,
        };
        files[at] += 1;
        rows[at] = rows[at].saturating_add(decoded.columns[1].integer(row).unwrap_or(0));
    }
    let spec_id = file.metadata("partition-spec-id").and_then(|id| id.trim().parse().ok());
    Ok((files, rows, spec_id))
}

fn entry(
    columns: &[Column],
    row: usize,
    manifest: &Descriptor,
    types: &[Option<Type>],
    next_row_id: &mut Option<i64>,
) -> Result<Entry> {
    let bad = |what: &str| Error::new(Kind::InvalidData, format!("manifest entry {row}: {what}"));
    let number = |slot: usize| columns[slot].integer(row);
    let text = |slot: usize| columns[slot].bytes(row).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let status = match number(0) {
        Some(0) => Status::Existing,
        Some(1) => Status::Added,
        Some(2) => Status::Deleted,
        other => return Err(bad(&format!("status is {other:?}, expected 0, 1 or 2"))),
    };
    if number(4).unwrap_or(0) != 0 {
        return Err(bad("a delete file in a manifest of data files"));
    }
    let record_count = number(7).ok_or_else(|| bad("record_count is null"))?;
    let first_row_id = match (number(11), *next_row_id) {
        (Some(own), _) => Some(own),
        (None, Some(next)) if status != Status::Deleted => {
            *next_row_id = Some(next.checked_add(record_count).ok_or_else(|| bad("row ids overflow"))?);
            Some(next)
        }
        _ => None,
    };
    let partition = partition(&columns[PARTITIONS..], row, types);
    let inherits = status == Status::Added || manifest.sequence_number == Some(0);
    let inherited = if inherits { manifest.sequence_number } else { None };
    let counts = |at: usize| map(columns, row, at, Column::integer);
    let bounds = |at: usize| map(columns, row, at, |column, item| column.bytes(item).map(<[u8]>::to_vec));
    let splits = columns[SPLITS].items(row);
    Ok(Entry {
        status,
        snapshot_id: number(1).or(manifest.snapshot_id),
        sequence_number: number(2).or(inherited),
        file_sequence_number: number(3).or(inherited),
        file: DataFile {
            path: text(5).ok_or_else(|| bad("file_path is null or not UTF-8"))?.to_string(),
            format: text(6).unwrap_or("PARQUET").to_string(),
            partition: partition?,
            record_count,
            file_size: number(8).ok_or_else(|| bad("file_size_in_bytes is null"))?,
            column_sizes: counts(0),
            value_counts: counts(1),
            null_value_counts: counts(2),
            nan_value_counts: counts(3),
            lower_bounds: bounds(4),
            upper_bounds: bounds(5),
            key_metadata: columns[9].bytes(row).map(<[u8]>::to_vec),
            split_offsets: splits.map(|items| items.filter_map(|item| columns[SPLITS + 1].integer(item)).collect()),
            sort_order_id: number(10),
            first_row_id,
        },
    })
}

/// A map of an entry; pairs whose key or value is null are dropped.
fn map<T>(
    columns: &[Column],
    row: usize,
    at: usize,
    value: impl Fn(&Column, usize) -> Option<T>,
) -> Option<Vec<(i32, T)>> {
    let [bounds, keys, values] = [0, 1, 2].map(|offset| &columns[FIRST_MAP + 3 * at + offset]);
    let pair = |item: usize| Some((i32::try_from(keys.integer(item)?).ok()?, value(values, item)?));
    Some(bounds.items(row)?.filter_map(pair).collect())
}

/// The partition of an entry, from the columns that [`partition_fields`] asked for.
pub(super) fn partition(columns: &[Column], row: usize, types: &[Option<Type>]) -> Result<Vec<Option<Literal>>> {
    let values = types.iter().zip(columns).map(|(value_type, column)| match value_type {
        Some(value_type) => literal(column, row, value_type),
        None => Ok(None),
    });
    values.collect()
}

fn literal(column: &Column, row: usize, value_type: &Type) -> Result<Option<Literal>> {
    let wrong = || Error::new(Kind::InvalidData, format!("entry {row}: a partition value that is no {value_type:?}"));
    Ok(match value_type {
        Type::Boolean => column.integer(row).map(|value| Literal::Boolean(value != 0)),
        Type::Float | Type::Double => column.float(row).map(Literal::Float),
        Type::Decimal(_, _) => {
            column.bytes(row).map(|bytes| decimal(bytes).ok_or_else(wrong)).transpose()?.map(Literal::Decimal)
        }
        Type::String => {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| wrong());
            column.bytes(row).map(text).transpose()?.map(Literal::String)
        }
        Type::Uuid | Type::Fixed(_) | Type::Binary => column.bytes(row).map(|bytes| Literal::Bytes(bytes.to_vec())),
        _ => column.integer(row).map(Literal::Integer),
    })
}

fn layout(spec: &PartitionSpec, types: &[Option<Type>]) -> (Vec<WantField>, Vec<ColumnKind>) {
    let mut kinds: Vec<_> = PLAIN.iter().map(|field| field.2).collect();
    let mut wanted: Vec<_> = PLAIN.iter().enumerate().map(|(slot, field)| plain(slot, *field)).collect();
    let mut data_file = wanted.split_off(OF_ENTRY);
    for (at, (id, name, key, value, kind)) in MAPS.into_iter().enumerate() {
        let slot = FIRST_MAP + 3 * at;
        let pair = vec![plain(slot + 1, (key, "key", ColumnKind::Integer)), plain(slot + 2, (value, "value", kind))];
        data_file.push(WantField { id, name: name.into(), required: false, want: Want::List(slot, pair) });
        kinds.extend([ColumnKind::List, ColumnKind::Integer, kind]);
    }
    let element = vec![plain(SPLITS + 1, (133, "element", ColumnKind::Integer))];
    let want = Want::List(SPLITS, element);
    data_file.push(WantField { id: 132, name: "split_offsets".into(), required: false, want });
    kinds.extend([ColumnKind::List, ColumnKind::Integer]);

    data_file.extend(partition_fields(spec, types, PARTITIONS, &mut kinds));
    wanted.push(WantField { id: 2, name: "data_file".into(), required: true, want: Want::Record(data_file) });
    (wanted, kinds)
}

/// The field of an entry's partition, whose values take slots from `first` on, one a field of the spec.
pub(super) fn partition_fields(
    spec: &PartitionSpec,
    types: &[Option<Type>],
    first: usize,
    kinds: &mut Vec<ColumnKind>,
) -> Option<WantField> {
    let mut partition = Vec::new();
    for (at, (field, value_type)) in spec.fields.iter().zip(types).enumerate() {
        let kind = value_type.as_ref().and_then(kind_of);
        kinds.push(kind.unwrap_or(ColumnKind::Integer));
        // A value that should be there must not be taken for null: the file would move to another partition
        partition.extend(kind.map(|kind| {
            let want = Want::Column(first + at, kind);
            WantField { id: field.id, name: field.name.clone(), required: true, want }
        }));
    }
    let record = |fields| WantField { id: 102, name: "partition".into(), required: true, want: Want::Record(fields) };
    (!partition.is_empty()).then(|| record(partition))
}

fn plain(slot: usize, (id, name, kind): (i32, &str, ColumnKind)) -> WantField {
    WantField { id, name: name.to_string(), required: false, want: Want::Column(slot, kind) }
}
