//! Entries -> a manifest's bytes and its descriptor.
//!
//! Must not know: where entries come from, stores. Neighbours: `append` and `rewrite` above, `encoder` below.

use serde_json::{Value, json};

use super::avro_schema::{entry_schema, partition_types};
use super::data_file::{DataFile, Entry};
use super::descriptor::{Descriptor, Tally};
use super::encoder::{Container, Encoder};
use super::single_value::encode;
use super::table_of;
use crate::error::Result;
use crate::iceberg::schema::Type;
use crate::iceberg::specs::PartitionSpec;

/// v1 requires a block size that nobody reads (spec, Manifests: field 105); Iceberg's own writers give 64 MiB.
const BLOCK_SIZE: i64 = 64 << 20;

/// What all manifests of one spec in a commit have in common.
pub(super) struct Layout {
    pub(super) format_version: i64,
    pub(super) spec: PartitionSpec,
    pub(super) types: Vec<Option<Type>>,
    schema: String,
    metadata: Vec<(&'static str, String)>,
}

impl Layout {
    /// For files under `spec` of a table with this schema, both in JSON.
    pub(super) fn new(format_version: i64, schema: &Value, spec: &Value) -> Result<Layout> {
        let (parsed, partition) = table_of(schema, spec)?;
        let mut metadata = vec![
            ("schema", schema.to_string()),
            ("schema-id", schema.get("schema-id").unwrap_or(&json!(0)).to_string()),
            ("partition-spec", spec["fields"].to_string()),
            ("partition-spec-id", partition.id.to_string()),
            ("format-version", format_version.to_string()),
        ];
        if format_version > 1 {
            metadata.push(("content", "data".to_string()));
        }
        Ok(Layout {
            schema: entry_schema(&partition, &parsed, format_version).to_string(),
            types: partition_types(&partition, &parsed),
            spec: partition,
            format_version,
            metadata,
        })
    }
}

/// A manifest that grows entry by entry.
pub(super) struct ManifestWriter<'a> {
    layout: &'a Layout,
    container: Container,
    tally: Tally,
    entries: usize,
    content: i64,
}

impl<'a> ManifestWriter<'a> {
    pub(super) fn new(layout: &'a Layout) -> ManifestWriter<'a> {
        let container = Container::new(&layout.schema, &layout.metadata);
        ManifestWriter { layout, container, tally: Tally::new(layout.types.clone()), entries: 0, content: 0 }
    }

    /// The same for files of row deletes.
    pub(super) fn of_deletes(layout: &'a Layout) -> ManifestWriter<'a> {
        let mut metadata = layout.metadata.clone();
        metadata.iter_mut().filter(|each| each.0 == "content").for_each(|each| each.1 = "deletes".to_string());
        let container = Container::new(&layout.schema, &metadata);
        ManifestWriter { layout, container, tally: Tally::new(layout.types.clone()), entries: 0, content: 1 }
    }

    /// Appends an entry.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<()> {
        self.tally.add(entry);
        self.entries += 1;
        let (version, types) = (self.layout.format_version, self.tally.types());
        self.container.record(|to| {
            to.long(entry.status as i64);
            match version {
                1 => to.long(entry.snapshot_id.unwrap_or_default()),
                _ => {
                    to.optional(entry.snapshot_id, Encoder::long);
                    to.optional(entry.sequence_number, Encoder::long);
                    to.optional(entry.file_sequence_number, Encoder::long);
                }
            }
            data_file(to, &entry.file, version, types);
            Ok(())
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes so far, nearly: an open block is not counted.
    pub(super) fn len(&self) -> usize {
        self.container.len()
    }

    /// The file and what its list says of it.
    pub(super) fn finish(self, path: String, snapshot_id: i64) -> Result<(Descriptor, Vec<u8>)> {
        let bytes = self.container.finish()?;
        let mut descriptor = self.tally.descriptor(path, bytes.len(), self.layout.spec.id, snapshot_id);
        descriptor.content = self.content;
        Ok((descriptor, bytes))
    }
}

fn data_file(to: &mut Encoder, file: &DataFile, version: i64, types: &[Option<Type>]) {
    let deletes = file.deletes.as_ref();
    if version > 1 {
        to.long(deletes.map_or(0, |deletes| deletes.content));
    }
    to.bytes(file.path.as_bytes());
    to.bytes(file.format.as_bytes());
    for (value, value_type) in file.partition.iter().zip(types) {
        match (value, value_type) {
            (Some(value), Some(value_type)) => to.optional(Some(value), |to, value| encode(to, value, value_type)),
            _ => to.long(0),
        }
    }
    to.long(file.record_count);
    to.long(file.file_size);
    if version == 1 {
        to.long(BLOCK_SIZE);
    }
    for counts in [&file.column_sizes, &file.value_counts, &file.null_value_counts, &file.nan_value_counts] {
        to.optional(counts.as_ref(), |to, counts| {
            to.array(counts, |to, (key, count)| pair(to, *key, |to| to.long(*count)))
        });
    }
    for bounds in [&file.lower_bounds, &file.upper_bounds] {
        to.optional(bounds.as_ref(), |to, bounds| {
            to.array(bounds, |to, (key, bound)| pair(to, *key, |to| to.bytes(bound)))
        });
    }
    to.optional(file.key_metadata.as_ref(), |to, key| to.bytes(key));
    to.optional(file.split_offsets.as_ref(), |to, offsets| to.array(offsets, |to, offset| to.long(*offset)));
    if version > 1 {
        let ids = deletes.and_then(|deletes| deletes.equality_ids.as_ref());
        to.optional(ids, |to, ids| to.array(ids, |to, id| to.long(*id)));
    }
    to.optional(file.sort_order_id, Encoder::long);
    if version > 2 {
        to.optional(file.first_row_id, Encoder::long);
        let referenced = deletes.and_then(|deletes| deletes.referenced_data_file.as_ref());
        to.optional(referenced, |to, path| to.bytes(path.as_bytes()));
        to.optional(deletes.and_then(|deletes| deletes.content_offset), Encoder::long);
        to.optional(deletes.and_then(|deletes| deletes.content_size), Encoder::long);
    }
}

fn pair(to: &mut Encoder, key: i32, value: impl FnOnce(&mut Encoder)) {
    to.long(i64::from(key));
    value(to);
}
