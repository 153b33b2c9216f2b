//! A manifest's entries -> the files that are kept, as a batch of the file list, and the count of those that are not.
//!
//! Must not know: Avro, stores. Neighbours: `manifests` and `pruning` below, `plan` above.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, new_null_array};
use arrow_schema::{DataType, Field, Fields, Schema as ArrowSchema, SchemaRef};

use crate::error::{Error, Kind, Result};
use crate::iceberg::bounds::{Facts, proves, refute};
use crate::iceberg::changes::Change;
use crate::iceberg::deletes::index::{Partition, Paths, Planned};
use crate::iceberg::deletes::{DeleteFile, DeleteKind, PATH_ID};
use crate::iceberg::files::{SPECS, SPLIT_OFFSETS};
use crate::iceberg::manifest_list::{FieldSummary, ManifestFile};
use crate::iceberg::manifests::{Entries, Entry, kind_of, spec_id_of};
use crate::iceberg::predicate::Predicate;
use crate::iceberg::pruning::{Filter, Reason, SpecFilter};
use crate::iceberg::report::Tally;
use crate::iceberg::request::PlanRequest;
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::{NestedField, Schema, Type};
use crate::iceberg::specs::{PartitionColumns, PartitionField, PartitionSpec};
use crate::iceberg::transforms::Transform;
use crate::iceberg::values::{partition_array, tuple_key};
use crate::runtime::Cancel;

/// What a filter that selects rows to be removed does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No row is removed
    Kept,
    /// Some rows may be removed
    Partial,
    /// All rows are removed
    Whole,
}

/// What every manifest of a plan is judged with.
pub(crate) struct Judge {
    filter: Filter,
    /// Field ids that the filter tests
    fields: Vec<i32>,
    /// For every leaf of the filter its field's position in `fields`
    field_of_leaf: Vec<usize>,
    specs: HashMap<i32, (PartitionSpec, SpecFilter)>,
    columns: PartitionColumns,
    schema: SchemaRef,
    /// The table's fields, for equality deletes: its schema's, and those that were dropped
    table: Schema,
    dropped: Vec<NestedField>,
}

impl Judge {
    /// Prepares a filter for the specs of a table.
    pub(crate) fn new(request: &PlanRequest, predicate: &Predicate) -> Result<Judge> {
        let filter = Filter::new(predicate, &request.schema);
        let fields = predicate.fields();
        let position = |id: i32| fields.iter().position(|field| *field == id).unwrap_or(0);
        let columns = PartitionColumns::of(&request.specs);
        Ok(Judge {
            field_of_leaf: filter.leaves.iter().map(|named| position(named.leaf.field)).collect(),
            specs: request.specs.iter().map(|spec| (spec.id, (spec.clone(), filter.project(spec)))).collect(),
            schema: schema(&columns, &request.specs_json)?,
            columns,
            fields,
            filter,
            table: request.schema.clone(),
            dropped: request.dropped.clone(),
        })
    }

    /// The schema of the file list.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Why a manifest need not be read; None if it must be.
    pub(crate) fn prune_manifest(&self, manifest: &ManifestFile) -> Result<Option<Vec<Reason>>> {
        if manifest.live_files() == Some(0) {
            return Ok(Some(vec!["no live files".into()]));
        }
        self.refute_manifest(manifest)
    }

    /// Why no file of a manifest, live or not, can match; None if one may.
    pub(crate) fn refute_manifest(&self, manifest: &ManifestFile) -> Result<Option<Vec<Reason>>> {
        let Some(spec_id) = manifest.spec_id else { return Ok(self.filter.refuted(&|_| None)) };
        let (spec, projected) = self.spec(spec_id)?;
        let summaries = manifest.partitions.len() == spec.fields.len();
        let facts = |position: usize| match &spec.fields[position].value_type {
            Some(value_type) if summaries => summary_facts(&manifest.partitions[position], value_type),
            _ => Facts::default(),
        };
        Ok(self.filter.refuted(&|leaf| projected.refuted(leaf, &facts)))
    }

    /// Decodes a manifest and lists its files that may hold a matching row.
    pub(crate) fn list(&self, bytes: &[u8], manifest: &ManifestFile, cancel: &Cancel) -> Result<(RecordBatch, Tally)> {
        let live = |entries: &mut Entries, row: usize| Ok(entries.live(row)?.map(|entry| ((), entry)));
        let (batch, _, tally) = self.chosen(bytes, manifest, cancel, live)?;
        Ok((batch, tally))
    }

    /// The same of the files that the manifest's snapshot added or removed, and which of the two.
    pub(crate) fn changed(
        &self,
        bytes: &[u8],
        manifest: &ManifestFile,
        cancel: &Cancel,
    ) -> Result<(RecordBatch, Vec<Change>, Tally)> {
        self.chosen(bytes, manifest, cancel, |entries, row| entries.changed(row))
    }

    /// Decodes a manifest and lists those of the entries that `choose` gives that may hold a matching row.
    fn chosen<T>(
        &self,
        bytes: &[u8],
        manifest: &ManifestFile,
        cancel: &Cancel,
        choose: impl Fn(&mut Entries, usize) -> Result<Option<(T, Entry)>>,
    ) -> Result<(RecordBatch, Vec<T>, Tally)> {
        let spec_id = match manifest.spec_id {
            Some(id) => id,
            None => spec_id_of(bytes)?.unwrap_or(0),
        };
        let (spec, projected) = self.spec(spec_id)?;
        let mut entries = Entries::decode(bytes, manifest, spec, &self.fields, cancel)?;
        let mut tally = Tally::default();
        tally.manifest_read(bytes.len());
        let (mut kept, mut notes) = (Vec::new(), Vec::new());
        for row in 0..entries.len() {
            if row % 1024 == 0 {
                cancel.check()?;
            }
            let Some((note, entry)) = choose(&mut entries, row)? else { continue };
            if self.keeps(&entries, &entry, projected, &mut tally) {
                entries.check_readable(row)?;
                kept.push(entry);
                notes.push(note);
            }
        }
        Ok((self.batch(&entries, &kept, spec)?, notes, tally))
    }

    /// Decodes a manifest of deletes: all its live entries.
    pub(crate) fn deletes(&self, bytes: &[u8], manifest: &ManifestFile, cancel: &Cancel) -> Result<Vec<Planned>> {
        let (spec, _) = self.spec(manifest.spec_id.unwrap_or(0))?;
        let mut entries = Entries::decode(bytes, manifest, spec, &[PATH_ID], cancel)?;
        let mut live = Vec::new();
        for row in 0..entries.len() {
            if let Some(entry) = entries.live(row)? {
                entries.check_readable(row)?;
                live.push(entry);
            }
        }
        let partitions = self.partitions(&entries, &live, spec)?;
        let planned = live.iter().enumerate().map(|(at, entry)| {
            let partition = (spec.id, tuple_key(&partitions, at)?);
            self.planned(&entries, entry, spec, partition)
                .map_err(|e| e.at(entries.path(entry.row).unwrap_or_default()))
        });
        planned.collect()
    }

    fn planned(&self, entries: &Entries, entry: &Entry, spec: &PartitionSpec, partition: Partition) -> Result<Planned> {
        let row = entry.row;
        let kind = match entry.content {
            2 => DeleteKind::Equality,
            _ if entries.is_vector(row) => DeleteKind::Vector,
            _ => DeleteKind::Positions,
        };
        let is_global = kind == DeleteKind::Equality && spec.is_unpartitioned();
        if kind == DeleteKind::Equality && !is_global {
            self.check_comparable(spec)?;
        }
        let (start, length) = if kind == DeleteKind::Vector { entries.content_range(row)? } else { (0, 0) };
        let file = DeleteFile {
            kind,
            location: entries.path(row)?.to_string(),
            file_size: entry.file_size.unsigned_abs(),
            record_count: entry.record_count.unsigned_abs(),
            range: start.unsigned_abs()..start.unsigned_abs() + length.unsigned_abs(),
            sequence_number: entry.sequence_number,
            scope: 0,
            fields: if kind == DeleteKind::Equality { self.compared(&entries.equality_ids(row))? } else { Vec::new() },
        };
        let bound = |bound: Option<Scalar>| match bound {
            Some(Scalar::Bytes(bytes)) => Some(bytes.to_vec()),
            _ => None,
        };
        let facts = entries.statistics_facts(entry, 0, &Type::String);
        let paths = match (entries.referenced(row)?, bound(facts.lower), bound(facts.upper)) {
            _ if kind == DeleteKind::Equality => Paths::Between(None, None),
            (Some(path), _, _) => Paths::One(path.as_bytes().to_vec()),
            (None, _, _) if kind == DeleteKind::Vector => {
                return Err(Error::new(Kind::InvalidData, "a deletion vector without referenced_data_file"));
            }
            (None, Some(lower), Some(upper)) if lower == upper => Paths::One(lower),
            (None, lower, upper) => Paths::Between(lower, upper),
        };
        Ok(Planned { file, partition: (!is_global).then_some(partition), paths })
    }

    /// The fields that an equality delete compares, in the order of their ids.
    fn compared(&self, ids: &[i32]) -> Result<Vec<Arc<NestedField>>> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(Error::new(Kind::InvalidData, "an equality delete file without equality_ids"));
        }
        let field = |id: i32| {
            let dropped = || self.dropped.iter().find(|field| field.id == id);
            let found = self.table.field(id).or_else(dropped);
            let found = found.filter(|field| kind_of(&field.field_type).is_some() || field.field_type == Type::Unknown);
            let message = || format!("an equality delete file compares field {id}, which is no primitive column");
            found.cloned().map(Arc::new).ok_or_else(|| Error::new(Kind::InvalidData, message()))
        };
        ids.into_iter().map(field).collect()
    }

    /// Refuses specs whose partitions cannot be told apart: a delete might be applied beyond its own.
    fn check_comparable(&self, spec: &PartitionSpec) -> Result<()> {
        let filled = self.columns.filled_by(spec)?;
        let is_filled = |at: usize| filled.iter().flatten().any(|(position, _)| *position == at);
        let fields = spec.fields.iter().enumerate().filter(|(_, field)| field.transform != Transform::Void);
        match fields.into_iter().find(|(at, _)| !is_filled(*at)) {
            None => Ok(()),
            Some((_, field)) => {
                let message = format!("an equality delete in partitions by {:?}, which are not read", field.name);
                Err(Error::new(Kind::Unsupported, message))
            }
        }
    }

    /// What the filter does to every entry of a manifest, deleted ones included.
    pub(crate) fn fates(&self, bytes: &[u8], manifest: &ManifestFile, cancel: &Cancel) -> Result<Vec<Fate>> {
        let (spec, projected) = self.spec(manifest.spec_id.unwrap_or(0))?;
        let mut entries = Entries::decode(bytes, manifest, spec, &self.fields, cancel)?;
        let mut fates = Vec::with_capacity(entries.len());
        for row in 0..entries.len() {
            fates.push(match entries.live(row)? {
                None => Fate::Kept,
                Some(entry) if !self.keeps(&entries, &entry, projected, &mut Tally::default()) => Fate::Kept,
                Some(entry) if self.passes_whole(&entries, &entry, spec) => Fate::Whole,
                Some(_) => Fate::Partial,
            });
        }
        Ok(fates)
    }

    /// Whether all rows of a file certainly pass the filter.
    fn passes_whole(&self, entries: &Entries, entry: &Entry, spec: &PartitionSpec) -> bool {
        self.filter.proven(&|leaf| {
            let test = &self.filter.leaves[leaf].leaf;
            let facts = entries.statistics_facts(entry, self.field_of_leaf[leaf], &test.field_type);
            let is_source = |field: &&PartitionField| {
                field.transform == Transform::Identity && field.source == Some(test.field) && field.value_type.is_some()
            };
            let identity = spec.fields.iter().position(|field| is_source(&field));
            let by_partition = |at: usize| proves(test, &entries.partition_facts(entry.row, at));
            proves(test, &facts) || identity.is_some_and(by_partition)
        })
    }

    fn keeps(&self, entries: &Entries, entry: &Entry, projected: &SpecFilter, tally: &mut Tally) -> bool {
        let (rows, bytes) = (entry.record_count.unsigned_abs(), entry.file_size.unsigned_abs());
        let partition = |position: usize| entries.partition_facts(entry.row, position);
        let by_partition = |leaf: usize| projected.refuted(leaf, &partition);
        if let Some(reasons) = self.filter.refuted(&by_partition) {
            tally.by_partition.add(rows, bytes);
            tally.file_pruned(&reasons);
            return false;
        }
        let by_statistics = |leaf: usize| {
            let test = &self.filter.leaves[leaf].leaf;
            let facts = entries.statistics_facts(entry, self.field_of_leaf[leaf], &test.field_type);
            refute(test, &facts).map(|cause| self.filter.reason(leaf, cause))
        };
        // A leaf is refuted by either, so that an `or` of one partition and one other test can be, too
        let by_either = |leaf: usize| by_partition(leaf).or_else(|| by_statistics(leaf));
        if let Some(reasons) = self.filter.refuted(&by_either) {
            tally.by_statistics.add(rows, bytes);
            tally.file_pruned(&reasons);
            return false;
        }
        tally.kept.add(rows, bytes);
        true
    }

    fn batch(&self, entries: &Entries, kept: &[Entry], spec: &PartitionSpec) -> Result<RecordBatch> {
        let paths = kept.iter().map(|entry| entries.path(entry.row)).collect::<Result<Vec<_>>>()?;
        let sizes: ArrayRef = Arc::new(Int64Array::from_iter_values(kept.iter().map(|entry| entry.file_size)));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(paths)),
            Arc::clone(&sizes),
            Arc::new(Int64Array::from_iter_values(kept.iter().map(|entry| entry.record_count))),
            Arc::new(Int64Array::from_iter_values(kept.iter().map(|_| 0))),
            sizes,
            Arc::new(Int32Array::from_iter_values(kept.iter().map(|_| spec.id))),
            Arc::new(Int64Array::from_iter_values(kept.iter().map(|entry| entry.sequence_number))),
            Arc::new(kept.iter().map(|entry| entry.first_row_id).collect::<Int64Array>()),
            Arc::new(split_offsets(entries, kept)),
            Arc::new(self.partitions(entries, kept, spec)?),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(internal)
    }

    fn partitions(&self, entries: &Entries, kept: &[Entry], spec: &PartitionSpec) -> Result<StructArray> {
        let fields = self.columns.arrow_fields()?;
        let filled = self.columns.filled_by(spec)?;
        let rows: Vec<usize> = kept.iter().map(|entry| entry.row).collect();
        let arrays = filled.iter().zip(&fields).map(|(from, field)| match from {
            Some((position, value_type)) => partition_array(entries.partition(*position), &rows, value_type)
                .map_err(|e| Error::new(e.kind(), format!("partition {}: {e}", spec.fields[*position].name))),
            None => Ok(new_null_array(field.data_type(), rows.len())),
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        StructArray::try_new_with_length(fields, arrays, None, rows.len()).map_err(internal)
    }

    fn spec(&self, id: i32) -> Result<&(PartitionSpec, SpecFilter)> {
        self.specs.get(&id).ok_or_else(|| {
            let mut known: Vec<_> = self.specs.keys().copied().collect();
            known.sort_unstable();
            Error::new(Kind::InvalidData, format!("partition spec {id} is not among the table's: {known:?}"))
        })
    }
}

fn split_offsets(entries: &Entries, kept: &[Entry]) -> ListArray {
    let offsets = kept.iter().map(|entry| entries.split_offsets(entry.row));
    let offsets = offsets.map(|offsets| offsets.map(|offsets| offsets.into_iter().map(Some)));
    ListArray::from_iter_primitive::<Int64Type, _, _>(offsets)
}

fn summary_facts<'a>(summary: &'a FieldSummary, value_type: &Type) -> Facts<'a> {
    let bound = |bytes: &'a Option<Vec<u8>>| Scalar::from_bound(value_type, bytes.as_deref()?);
    let no_values = summary.lower.is_none() && summary.upper.is_none();
    let no_nans = summary.contains_nan == Some(false) || !matches!(value_type, Type::Float | Type::Double);
    Facts {
        lower: bound(&summary.lower),
        upper: bound(&summary.upper),
        no_nulls: summary.contains_null == Some(false),
        only_nulls: summary.contains_null == Some(true) && no_values && no_nans,
        no_nans,
        only_nans: false,
    }
}

fn schema(columns: &PartitionColumns, specs_json: &str) -> Result<SchemaRef> {
    let int64 = |name: &str, nullable: bool| Field::new(name, DataType::Int64, nullable);
    let partition: Fields = columns.arrow_fields()?;
    let fields = vec![
        Field::new("location", DataType::Utf8, false),
        int64("file_size", false),
        int64("record_count", false),
        int64("start", false),
        int64("length", false),
        Field::new("spec_id", DataType::Int32, false),
        int64("sequence_number", false),
        int64("first_row_id", true),
        Field::new_list(SPLIT_OFFSETS, Field::new_list_field(DataType::Int64, true), true),
        Field::new("partition", DataType::Struct(partition), false),
    ];
    let metadata = HashMap::from([(SPECS.to_string(), specs_json.to_string())]);
    Ok(Arc::new(ArrowSchema::new(fields).with_metadata(metadata)))
}

fn internal(error: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, format!("the file list could not be built: {error}"))
}
