//! The pages of a column chunk, one after another: headers parsed, lengths checked, nothing decompressed.
//!
//! Format: parquet.thrift, `PageHeader`, in Thrift's compact encoding. Must not know: what a page's values mean.

use super::Refusal;
use crate::parquet::thrift::{Cursor, wire};

/// Field numbers (parquet.thrift).
mod field {
    pub const TYPE: i16 = 1;
    pub const UNCOMPRESSED: i16 = 2;
    pub const COMPRESSED: i16 = 3;
    pub const DATA: i16 = 5;
    pub const DICTIONARY: i16 = 7;
    pub const DATA_V2: i16 = 8;
}

/// How values are encoded (parquet.thrift, `Encoding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Values as they are
    Plain,
    /// Positions in the dictionary
    Dictionary,
    /// Run lengths: levels, and booleans
    Rle,
    /// Differences of integers
    DeltaBinaryPacked,
    /// Lengths, then bytes
    DeltaLengthByteArray,
    /// Lengths of shared prefixes, then the rest
    DeltaByteArray,
    /// First bytes of all values, then second bytes, and so on
    ByteStreamSplit,
    /// Anything else
    Other,
}

impl Encoding {
    fn of(number: i64) -> Encoding {
        match number {
            0 => Encoding::Plain,
            2 | 8 => Encoding::Dictionary,
            3 => Encoding::Rle,
            5 => Encoding::DeltaBinaryPacked,
            6 => Encoding::DeltaLengthByteArray,
            7 => Encoding::DeltaByteArray,
            9 => Encoding::ByteStreamSplit,
            _ => Encoding::Other,
        }
    }
}

/// One page.
pub struct Page<'a> {
    /// What it holds
    pub kind: Kind,
    /// Values, nulls included
    pub values: usize,
    /// Of the values
    pub encoding: Encoding,
    /// Bytes of the body once decompressed, levels included
    pub uncompressed: usize,
    /// The body as it is in the file
    pub body: &'a [u8],
}

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Distinct values
    Dictionary,
    /// Levels and values, compressed together
    Data {
        /// Whether both kinds of levels are run lengths (the other way is deprecated)
        rle_levels: bool,
    },
    /// Levels, then values, only these compressed
    DataV2 {
        /// Rows
        rows: usize,
        /// Bytes of repetition levels
        repetition: usize,
        /// Bytes of definition levels
        definition: usize,
        /// Whether the values are compressed
        compressed: bool,
    },
    /// Of no use here
    Other,
}

/// Walks over a chunk.
pub struct Pages<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Pages<'a> {
    /// The pages of a chunk.
    pub fn new(bytes: &'a [u8]) -> Pages<'a> {
        Pages { bytes, at: 0 }
    }

    /// The next page; None at the end of the chunk.
    pub fn next_page(&mut self) -> Result<Option<Page<'a>>, Refusal> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let mut cursor = Cursor::new(self.bytes.get(self.at..).unwrap_or_default());
        let mut header = Header::default();
        let mut last = 0;
        while let Some(found) = cursor.header(&mut last)? {
            match (found.id, found.wire) {
                (field::TYPE, wire::I32) => header.kind = Some(cursor.signed()?),
                (field::UNCOMPRESSED, wire::I32) => header.uncompressed = Some(cursor.signed()?),
                (field::COMPRESSED, wire::I32) => header.compressed = Some(cursor.signed()?),
                (field::DATA, wire::STRUCT) => header.data = Some(numbers::<4>(&mut cursor)?),
                (field::DICTIONARY, wire::STRUCT) => header.dictionary = Some(numbers::<2>(&mut cursor)?),
                (field::DATA_V2, wire::STRUCT) => header.data_v2 = Some(numbers::<7>(&mut cursor)?),
                (_, wire) => cursor.skip(wire, 0)?,
            }
        }
        let start = self.at + cursor.position();
        let length = size(header.compressed, "compressed size")?;
        let end = start.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| Refusal::damaged("a page reaches beyond its column chunk"))?;
        self.at = end;
        header.page(self.bytes.get(start..end).unwrap_or_default()).map(Some)
    }
}

#[derive(Default)]
struct Header {
    kind: Option<i64>,
    uncompressed: Option<i64>,
    compressed: Option<i64>,
    data: Option<[Option<i64>; 4]>,
    dictionary: Option<[Option<i64>; 2]>,
    data_v2: Option<[Option<i64>; 7]>,
}

impl Header {
    fn page<'a>(&self, body: &'a [u8]) -> Result<Page<'a>, Refusal> {
        let uncompressed = size(self.uncompressed, "uncompressed size")?;
        let (kind, values, encoding) = match (self.kind, &self.data, &self.dictionary, &self.data_v2) {
            (Some(0), Some([values, encoding, definition, repetition]), _, _) => {
                let rle = |levels: &Option<i64>| levels.is_none_or(|levels| Encoding::of(levels) == Encoding::Rle);
                (Kind::Data { rle_levels: rle(definition) && rle(repetition) }, *values, *encoding)
            }
            (Some(2), _, Some([values, encoding]), _) => (Kind::Dictionary, *values, *encoding),
            (Some(3), _, _, Some([values, _, rows, encoding, definition, repetition, compressed])) => {
                let (definition, repetition) = (size(*definition, "level size")?, size(*repetition, "level size")?);
                if definition.checked_add(repetition).is_none_or(|levels| levels > body.len().min(uncompressed)) {
                    return Err(Refusal::damaged("levels reach beyond their page"));
                }
                let rows = size(*rows, "number of rows")?;
                (Kind::DataV2 { rows, repetition, definition, compressed: *compressed != Some(0) }, *values, *encoding)
            }
            (Some(1), ..) => (Kind::Other, Some(0), Some(0)),
            _ => return Err(Refusal::damaged("a page header without what its type needs")),
        };
        let encoding = Encoding::of(encoding.unwrap_or(-1));
        Ok(Page { kind, values: size(values, "number of values")?, encoding, uncompressed, body })
    }
}

fn size(value: Option<i64>, what: &str) -> Result<usize, Refusal> {
    let found = value.and_then(|value| i32::try_from(value).ok()).and_then(|value| usize::try_from(value).ok());
    found.ok_or_else(|| Refusal::damaged(&format!("a page header whose {what} is {value:?}")))
}

/// The numbers and truth values of a struct by field number, from 1 on; true is 1 and false 0.
fn numbers<const N: usize>(cursor: &mut Cursor<'_>) -> Result<[Option<i64>; N], Refusal> {
    let mut found = [None; N];
    let mut last = 0;
    while let Some(header) = cursor.header(&mut last)? {
        let place = usize::try_from(header.id).ok().and_then(|id| found.get_mut(id.wrapping_sub(1)));
        match (place, header.wire) {
            (Some(place), wire::I32) => *place = Some(cursor.signed()?),
            (Some(place), wire::TRUE) => *place = Some(1),
            (Some(place), wire::FALSE) => *place = Some(0),
            (_, wire) => cursor.skip(wire, 0)?,
        }
    }
    Ok(found)
}
