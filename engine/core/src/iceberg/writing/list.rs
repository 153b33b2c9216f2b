//! Manifest lists, whole: decoded into descriptors and written from them.
//!
//! Unlike `manifest_list`, which planning uses, nothing is left out: what is carried into the next list must stay as it
//! was. Must not know: stores, which manifests belong into a snapshot. Spec: Manifest Lists.

use super::avro_schema::list_schema;
use super::descriptor::{Descriptor, Hex, Summary};
use super::encoder::{Container, Encoder};
use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, Column, ColumnKind, Columns, Want, WantField};
use crate::runtime::Cancel;

/// Columns in the order of their slots: id, name, kind.
const FIELDS: [(i32, &str, ColumnKind); 14] = [
    (500, "manifest_path", ColumnKind::Bytes),
    (501, "manifest_length", ColumnKind::Integer),
    (502, "partition_spec_id", ColumnKind::Integer),
    (517, "content", ColumnKind::Integer),
    (515, "sequence_number", ColumnKind::Integer),
    (516, "min_sequence_number", ColumnKind::Integer),
    (503, "added_snapshot_id", ColumnKind::Integer),
    (504, "added_files_count", ColumnKind::Integer),
    (505, "existing_files_count", ColumnKind::Integer),
    (506, "deleted_files_count", ColumnKind::Integer),
    (512, "added_rows_count", ColumnKind::Integer),
    (513, "existing_rows_count", ColumnKind::Integer),
    (514, "deleted_rows_count", ColumnKind::Integer),
    (520, "first_row_id", ColumnKind::Integer),
];
const KEY_METADATA: usize = FIELDS.len();
const SUMMARIES: usize = KEY_METADATA + 1;
const SUMMARY: [(i32, &str, ColumnKind); 4] = [
    (509, "contains_null", ColumnKind::Integer),
    (518, "contains_nan", ColumnKind::Integer),
    (510, "lower_bound", ColumnKind::Bytes),
    (511, "upper_bound", ColumnKind::Bytes),
];

/// Decodes a manifest list.
pub(super) fn decode(bytes: &[u8], cancel: &Cancel) -> Result<Vec<Descriptor>> {
    let want = |slot: usize, (id, name, kind): (i32, &str, ColumnKind)| WantField {
        id,
        name: name.to_string(),
        required: matches!(id, 500..=502),
        want: Want::Column(slot, kind),
    };
    let mut wanted: Vec<_> = FIELDS.iter().enumerate().map(|(slot, field)| want(slot, *field)).collect();
    wanted.push(want(KEY_METADATA, (519, "key_metadata", ColumnKind::Bytes)));
    let summary = SUMMARY.iter().enumerate().map(|(at, field)| want(SUMMARIES + 1 + at, *field)).collect();
    let want = Want::List(SUMMARIES, summary);
    wanted.push(WantField { id: 507, name: "partitions".into(), required: false, want });
    let kinds = FIELDS.iter().map(|field| field.2).chain([ColumnKind::Bytes, ColumnKind::List]);
    let kinds: Vec<_> = kinds.chain(SUMMARY.iter().map(|field| field.2)).collect();
    let decoded = AvroFile::open(bytes)?.decode(&wanted, &kinds, cancel)?;
    (0..decoded.records).map(|row| descriptor(&decoded, row)).collect()
}

fn descriptor(decoded: &Columns, row: usize) -> Result<Descriptor> {
    let bad = |what: &str| Error::new(Kind::InvalidData, format!("manifest list, entry {row}: {what}"));
    let columns = &decoded.columns;
    let number = |slot: usize| columns[slot].integer(row);
    let path = columns[0].bytes(row).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let spec_id = number(2).and_then(|id| i32::try_from(id).ok());
    Ok(Descriptor {
        path: path.ok_or_else(|| bad("manifest_path is null or not UTF-8"))?.to_string(),
        length: number(1).ok_or_else(|| bad("manifest_length is null"))?,
        spec_id: spec_id.ok_or_else(|| bad("partition_spec_id is null or no int"))?,
        content: number(3).unwrap_or(0),
        sequence_number: Some(number(4).unwrap_or(0)),
        min_sequence_number: Some(number(5).unwrap_or(0)),
        snapshot_id: number(6),
        files: [number(7), number(8), number(9)],
        rows: [number(10), number(11), number(12)],
        first_row_id: number(13),
        key_metadata: columns[KEY_METADATA].bytes(row).map(|bytes| Hex(bytes.to_vec())),
        partitions: columns[SUMMARIES].items(row).map(|items| items.map(|item| summary(columns, item)).collect()),
    })
}

fn summary(columns: &[Column], item: usize) -> Summary {
    let flag = |at: usize| columns[SUMMARIES + 1 + at].integer(item).map(|flag| flag != 0);
    let bound = |at: usize| columns[SUMMARIES + 1 + at].bytes(item).map(|bytes| Hex(bytes.to_vec()));
    Summary { contains_null: flag(0).unwrap_or(true), contains_nan: flag(1), lower: bound(2), upper: bound(3) }
}

/// Writes a manifest list; sequence numbers that are None become `sequence_number`.
pub(super) fn encode(
    manifests: &[Descriptor],
    format_version: i64,
    metadata: &[(&str, String)],
    sequence_number: i64,
) -> Result<Vec<u8>> {
    let mut container = Container::new(&list_schema(format_version).to_string(), metadata);
    for manifest in manifests {
        container.record(|to| entry(to, manifest, format_version, sequence_number))?;
    }
    container.finish()
}

fn entry(to: &mut Encoder, manifest: &Descriptor, format_version: i64, sequence_number: i64) -> Result<()> {
    to.bytes(manifest.path.as_bytes());
    to.long(manifest.length);
    to.long(i64::from(manifest.spec_id));
    if format_version > 1 {
        to.long(manifest.content);
        to.long(manifest.sequence_number.unwrap_or(sequence_number));
        to.long(manifest.min_sequence_number.unwrap_or(sequence_number));
    }
    let numbers = [manifest.snapshot_id].into_iter().chain(manifest.files).chain(manifest.rows);
    for (at, number) in numbers.enumerate() {
        match (format_version, number) {
            (1, number) => to.optional(number, Encoder::long),
            (_, Some(number)) => to.long(number),
            (_, None) => {
                let message = format!("the list of its snapshot does not say {} of this manifest", FIELDS[6 + at].1);
                return Err(Error::new(Kind::Unsupported, message).at(&manifest.path));
            }
        }
    }
    to.optional(manifest.partitions.as_ref(), |to, summaries| to.array(summaries, summary_entry));
    to.optional(manifest.key_metadata.as_ref(), |to, key| to.bytes(&key.0));
    if format_version > 2 {
        to.optional(manifest.first_row_id, Encoder::long);
    }
    Ok(())
}

fn summary_entry(to: &mut Encoder, summary: &Summary) {
    to.boolean(summary.contains_null);
    to.optional(summary.contains_nan, Encoder::boolean);
    to.optional(summary.lower.as_ref(), |to, bound| to.bytes(&bound.0));
    to.optional(summary.upper.as_ref(), |to, bound| to.bytes(&bound.0));
}
