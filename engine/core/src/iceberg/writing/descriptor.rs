//! What a manifest list says of a manifest, as JSON for the control plane, and the summaries of partition values in it.
//!
//! Must not know: Avro. Neighbours: `manifest` makes one for every file it writes, `list` writes and reads them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::data_file::{Entry, Status};
use super::single_value::{from_hex, to_binary, to_hex};
use crate::iceberg::predicate::Literal;
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::Type;

/// An entry of a manifest list. Sequence numbers are None until the snapshot that adds the manifest has one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Descriptor {
    pub(super) path: String,
    pub(super) length: i64,
    pub(super) spec_id: i32,
    /// 0: data, 1: deletes
    pub(super) content: i64,
    pub(super) sequence_number: Option<i64>,
    pub(super) min_sequence_number: Option<i64>,
    pub(super) snapshot_id: Option<i64>,
    /// Files and rows: added, existing, deleted; None where a v1 writer left them out
    pub(super) files: [Option<i64>; 3],
    pub(super) rows: [Option<i64>; 3],
    pub(super) partitions: Option<Vec<Summary>>,
    pub(super) key_metadata: Option<Hex>,
    pub(super) first_row_id: Option<i64>,
}

/// What a manifest's files hold in one partition field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) contains_null: bool,
    pub(super) contains_nan: Option<bool>,
    pub(super) lower: Option<Hex>,
    pub(super) upper: Option<Hex>,
}

/// Bytes that are hexadecimal text in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hex(pub(super) Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hex, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_hex(&text).map(Hex).ok_or_else(|| serde::de::Error::custom("not hexadecimal"))
    }
}

impl Descriptor {
    /// Whether it lists live files; a list that does not say is taken to.
    pub(super) fn has_live_files(&self) -> bool {
        self.files[0] != Some(0) || self.files[1] != Some(0)
    }

    /// Rows of live files: what row ids are handed out for.
    pub(super) fn live_rows(&self) -> Option<i64> {
        self.rows[0]?.checked_add(self.rows[1]?)
    }
}

/// Collects what a [`Descriptor`] says while entries are written.
pub(super) struct Tally {
    types: Vec<Option<Type>>,
    fields: Vec<Field>,
    files: [i64; 3],
    rows: [i64; 3],
    min_sequence_number: Option<i64>,
    /// A live entry inherits its sequence number
    inherits: bool,
}

#[derive(Clone, Default)]
struct Field {
    contains_null: bool,
    contains_nan: bool,
    lower: Option<Literal>,
    upper: Option<Literal>,
}

impl Tally {
    pub(super) fn new(types: Vec<Option<Type>>) -> Tally {
        let fields = vec![Field::default(); types.len()];
        Tally { types, fields, files: [0; 3], rows: [0; 3], min_sequence_number: None, inherits: false }
    }

    pub(super) fn types(&self) -> &[Option<Type>] {
        &self.types
    }

    /// Counts an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        let at = match entry.status {
            Status::Added => 0,
            Status::Existing => 1,
            Status::Deleted => 2,
        };
        self.files[at] += 1;
        self.rows[at] = self.rows[at].saturating_add(entry.file.record_count);
        if entry.status != Status::Deleted {
            match entry.sequence_number {
                Some(own) => self.min_sequence_number = Some(self.min_sequence_number.map_or(own, |min| min.min(own))),
                None => self.inherits = true,
            }
        }
        for (field, value) in self.fields.iter_mut().zip(&entry.file.partition) {
            field.add(value.as_ref());
        }
    }

    /// The descriptor of the manifest that holds what was counted.
    pub(super) fn descriptor(self, path: String, length: usize, spec_id: i32, snapshot_id: i64) -> Descriptor {
        let summaries = self.fields.into_iter().zip(&self.types).map(|(field, value_type)| field.summary(value_type));
        Descriptor {
            partitions: Some(summaries.collect()),
            path,
            length: length as i64,
            spec_id,
            snapshot_id: Some(snapshot_id),
            files: self.files.map(Some),
            rows: self.rows.map(Some),
            // What inherits gets the largest number of all, so an older one is the least
            min_sequence_number: self.min_sequence_number,
            ..Descriptor::default()
        }
    }
}

impl Field {
    fn add(&mut self, value: Option<&Literal>) {
        let Some(value) = value else {
            self.contains_null = true;
            return;
        };
        let scalar = Scalar::of(value);
        if scalar.is_nan() {
            self.contains_nan = true;
            return;
        }
        let beyond = |bound: &Option<Literal>, order| {
            bound.as_ref().is_none_or(|bound| scalar.order(Scalar::of(bound)) == Some(order))
        };
        if beyond(&self.lower, Ordering::Less) {
            self.lower = Some(value.clone());
        }
        if beyond(&self.upper, Ordering::Greater) {
            self.upper = Some(value.clone());
        }
    }

    fn summary(self, value_type: &Option<Type>) -> Summary {
        let binary = |bound: Option<Literal>| match (bound, value_type) {
            (Some(bound), Some(value_type)) => Some(Hex(to_binary(&bound, value_type))),
            _ => None,
        };
        Summary {
            contains_null: self.contains_null,
            contains_nan: Some(self.contains_nan),
            lower: binary(self.lower),
            upper: binary(self.upper),
        }
    }
}
