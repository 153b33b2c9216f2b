//! Deletion vectors -> the bytes of a Puffin file, and where in it each vector is.
//!
//! Magic, blobs one after another, footer: magic, JSON, its length, flags (none: the JSON is not compressed), magic. Readers
//! of tables go by the offsets in manifests and pass the footer over. Spec: <https://iceberg.apache.org/puffin-spec/>. Must
//! not know: stores, manifests. Neighbour: [`super::vector`] makes the blobs.

use std::ops::Range;

use serde_json::{Value, json};

use super::POSITION_ID;
use crate::error::{Error, Kind, Result};

const MAGIC: &[u8; 4] = b"PFA1";
const FLAGS: [u8; 4] = [0; 4];

/// A file that grows blob by blob.
pub struct Puffin {
    bytes: Vec<u8>,
    blobs: Vec<Value>,
}

impl Default for Puffin {
    fn default() -> Puffin {
        Puffin { bytes: MAGIC.to_vec(), blobs: Vec::new() }
    }
}

impl Puffin {
    /// Appends the vector of a data file, as [`super::vector::blob`] gives it; the bytes that it takes.
    pub fn add(&mut self, data_file: &str, cardinality: u64, blob: &[u8]) -> Range<u64> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(blob);
        // The spec wants -1 for both numbers of a vector: it is written before its snapshot has them.
        self.blobs.push(json!({
            "type": "deletion-vector-v1",
            "fields": [POSITION_ID],
            "snapshot-id": -1,
            "sequence-number": -1,
            "offset": start,
            "length": blob.len(),
            "properties": {"referenced-data-file": data_file, "cardinality": cardinality.to_string()},
        }));
        start as u64..self.bytes.len() as u64
    }

    /// The whole file.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let created_by = format!("headrace {}", env!("CARGO_PKG_VERSION"));
        let footer = json!({"blobs": self.blobs, "properties": {"created-by": created_by}}).to_string();
        let length = i32::try_from(footer.len());
        let length = length.map_err(|_| Error::new(Kind::Unsupported, "too many deletion vectors for one file"))?;
        self.bytes.extend_from_slice(MAGIC);
        self.bytes.extend_from_slice(footer.as_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&FLAGS);
        self.bytes.extend_from_slice(MAGIC);
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use roaring::RoaringTreemap;

    use super::super::vector;
    use super::*;

    #[test]
    fn vectors_are_where_it_says() {
        let mut puffin = Puffin::default();
        let all: Vec<RoaringTreemap> = (1..4u64).map(|count| (0..count * 1000).step_by(3).collect()).collect();
        let mut add = |each: &RoaringTreemap| puffin.add("s3://b/f", each.len(), &vector::blob(each).unwrap());
        let ranges: Vec<_> = all.iter().map(&mut add).collect();
        let bytes = puffin.finish().unwrap();
        for (positions, range) in all.iter().zip(&ranges) {
            let blob = &bytes[range.start as usize..range.end as usize];
            assert_eq!(vector::positions(blob, positions.len()).unwrap(), *positions);
        }
        let (rest, end) = bytes.split_at(bytes.len() - 12);
        assert_eq!((&bytes[..4], &end[4..]), (&b"PFA1"[..], &b"\0\0\0\0PFA1"[..]));
        let length = i32::from_le_bytes(end[..4].try_into().unwrap()) as usize;
        let (before, footer) = rest.split_at(rest.len() - length);
        assert_eq!(&before[before.len() - 4..], MAGIC);
        let footer: Value = serde_json::from_slice(footer).unwrap();
        assert_eq!(footer["blobs"][2]["offset"], json!(ranges[2].start));
        assert_eq!(footer["blobs"][2]["properties"]["cardinality"], json!("1000"));
    }
}
