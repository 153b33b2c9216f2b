//! A stripe -> a file of that one stripe without compression, in which every length is known to be true.
//!
//! Spec: "Stripes". What a stripe's footer and its streams claim (rows, elements, bytes of strings) is held against the
//! bytes that are there and against the load's memory. Must not know: values. Neighbours: [`super::codec`], [`super::runs`],
//! [`super::moments`].

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr;

use bytes::Bytes;
use orc_rust::proto::column_encoding::Kind as Encoding;
use orc_rust::proto::stream::Kind as StreamKind;
use orc_rust::proto::r#type::Kind as TypeKind;
use orc_rust::proto::{CompressionKind, Footer, PostScript, Stream, StripeFooter, StripeInformation, Type};
use prost::Message;

use super::runs::measure;
use super::tail::{MESSAGE_GROWTH, Tail};
use super::{Room, damaged, moments, types, unread};
use crate::error::Result;

const MAGIC: &[u8] = b"ORC";
const MAX_BATCH_ROWS: u64 = 64 << 10;
/// A batch is about as large, decoded.
const BATCH_BYTES: u64 = 64 << 20;
/// Runs of bits have 130 * 8 rows in two bytes, and nothing has more.
const MAX_ROWS_A_BYTE: u64 = 1040;
/// Bytes of a value of whatever type, decoded, beside what strings hold.
const VALUE_BYTES: u64 = 16;

/// A stripe to decode.
pub(super) struct Plain {
    pub file: Bytes,
    pub batch_rows: usize,
}

/// Decompresses and checks; None: no rows.
pub(super) fn plain(file: &Bytes, tail: &Tail, info: &StripeInformation, room: &mut Room<'_>) -> Result<Option<Plain>> {
    let rows = info.number_of_rows();
    if rows == 0 {
        return Ok(None);
    }
    if tail.types.len() == 1 {
        return Err(unread("a file of rows without columns"));
    }
    let mut footer = footer(file, tail, info, room)?;
    let mut streams = Streams::default();
    streams.read(file, tail, info, &footer, room)?;
    if rows > MAX_ROWS_A_BYTE.saturating_mul(streams.bytes.len() as u64) {
        return Err(damaged(format!("{rows} rows in {} bytes", streams.bytes.len())));
    }
    let batch_rows = Shape { types: &tail.types, footer: &footer, streams: &streams }.batch_rows(rows, room)?;
    streams.rewrite_moments(tail, &mut footer, room)?;
    footer.streams = std::mem::take(&mut streams.listed);
    let file = assemble(streams.bytes, &footer, types::to_decode(&tail.types), rows);
    Ok(Some(Plain { file, batch_rows }))
}

fn footer(file: &Bytes, tail: &Tail, info: &StripeInformation, room: &mut Room<'_>) -> Result<StripeFooter> {
    let start = info.offset().checked_add(info.index_length()).and_then(|at| at.checked_add(info.data_length()));
    let bytes = part(file, start, info.footer_length()).ok_or_else(|| damaged("a footer past the end of the file"))?;
    let mut plain = Vec::new();
    tail.codec.plain(bytes, &mut plain, room)?;
    room.take(MESSAGE_GROWTH * plain.len() as u64)?;
    let mut footer = StripeFooter::decode(plain.as_slice()).map_err(|e| damaged(format!("footer: {e}")))?;
    if footer.columns.len() < tail.types.len() {
        return Err(damaged(format!("encodings of {} columns of {}", footer.columns.len(), tail.types.len())));
    }
    if footer.columns.iter().any(|each| Encoding::try_from(each.kind.unwrap_or(0)).is_err()) {
        return Err(unread("a column's encoding"));
    }
    if !footer.encryption.is_empty() {
        return Err(unread("an encrypted stripe"));
    }
    footer.writer_timezone = match footer.writer_timezone.take().as_deref() {
        None | Some("" | "GMT" | "UTC" | "Etc/UTC" | "Etc/GMT" | "Z") => None,
        Some(zone) if chrono_tz::Tz::from_str(zone).is_ok() => Some(zone.to_string()),
        Some(zone) => return Err(unread(format!("timestamps of the time zone {zone:?}"))),
    };
    Ok(footer)
}

/// The streams that hold values, decompressed.
#[derive(Default)]
struct Streams {
    /// Behind the file's magic
    bytes: Vec<u8>,
    /// In their order, with their plain lengths
    listed: Vec<Stream>,
    places: HashMap<(usize, StreamKind), Range<usize>>,
}

impl Streams {
    fn read(
        &mut self,
        file: &Bytes,
        tail: &Tail,
        info: &StripeInformation,
        footer: &StripeFooter,
        room: &mut Room<'_>,
    ) -> Result<()> {
        self.bytes.extend_from_slice(MAGIC);
        let mut at = Some(info.offset());
        for stream in &footer.streams {
            let bytes = part(file, at, stream.length()).ok_or_else(|| damaged("a stream past the end of the file"))?;
            at = at.and_then(|at| at.checked_add(stream.length()));
            let kind = stream.kind.unwrap_or(0);
            let kind = StreamKind::try_from(kind).map_err(|_| unread(format!("a stream of kind {kind}")))?;
            match kind {
                StreamKind::RowIndex | StreamKind::BloomFilter | StreamKind::BloomFilterUtf8 => continue,
                StreamKind::EncryptedIndex | StreamKind::EncryptedData => return Err(unread("an encrypted stream")),
                StreamKind::StripeStatistics | StreamKind::FileStatistics => continue,
                _ => {}
            }
            let column = stream.column() as usize;
            let start = self.bytes.len();
            tail.codec.plain(bytes, &mut self.bytes, room).map_err(|e| e.context(format!("column {column}")))?;
            let place = start..self.bytes.len();
            self.listed.push(Stream { length: Some(place.len() as u64), ..stream.clone() });
            if column >= tail.types.len() || self.places.insert((column, kind), place).is_some() {
                return Err(damaged(format!("a {} stream of column {column} too many", kind.as_str_name())));
            }
        }
        Ok(())
    }

    /// Timestamps become the decimals that [`super::types::to_decode`] says they are.
    fn rewrite_moments(&mut self, tail: &Tail, footer: &mut StripeFooter, room: &mut Room<'_>) -> Result<()> {
        let zone = footer.writer_timezone.as_deref().and_then(|zone| chrono_tz::Tz::from_str(zone).ok());
        for (column, (found, encoding)) in tail.types.iter().zip(&mut footer.columns).enumerate() {
            let zone = match found.kind() {
                TypeKind::Timestamp => zone,
                TypeKind::TimestampInstant => None,
                _ => continue,
            };
            let (data, secondary) = (self.get(column, StreamKind::Data), self.get(column, StreamKind::Secondary));
            let made = moments::decimals(data, secondary, is_version_2(encoding.kind()), zone, room);
            let (data, secondary) = made.map_err(|e| e.context(format!("column {column}")))?;
            for each in self.listed.iter_mut().filter(|each| each.column() as usize == column) {
                if matches!(each.kind(), StreamKind::Data | StreamKind::Secondary) {
                    each.kind = Some(StreamKind::RowIndex.into()); // which the decoder does not look at
                }
            }
            for (kind, stream) in [(StreamKind::Data, data), (StreamKind::Secondary, secondary)] {
                let column = u32::try_from(column).map_err(|_| damaged("too many columns"))?;
                let length = Some(stream.len() as u64);
                self.listed.push(Stream { kind: Some(kind.into()), column: Some(column), length });
                self.bytes.extend_from_slice(&stream);
            }
            encoding.kind = Some(Encoding::DirectV2.into());
        }
        Ok(())
    }

    fn get(&self, column: usize, kind: StreamKind) -> &[u8] {
        self.places.get(&(column, kind)).and_then(|place| self.bytes.get(place.clone())).unwrap_or_default()
    }
}

/// How many values columns have.
struct Shape<'a> {
    types: &'a [Type],
    footer: &'a StripeFooter,
    streams: &'a Streams,
}

impl Shape<'_> {
    /// Rows that decode to a batch of some size. Takes the memory of what is within lists and maps, which is as uneven as
    /// it likes.
    fn batch_rows(&self, rows: u64, room: &mut Room<'_>) -> Result<usize> {
        let mut counts = vec![(rows, false); self.types.len()];
        let mut needed = 0_u64;
        for (column, found) in self.types.iter().enumerate() {
            let within = self.elements(column).map_err(|e| e.context(format!("column {column}")))?;
            let (count, is_within) = counts.get(column).copied().unwrap_or((rows, false));
            for child in &found.subtypes {
                if let Some(of_child) = counts.get_mut(*child as usize) {
                    *of_child = within.map_or((count, is_within), |elements| (elements, true));
                }
            }
            let strings = self.string_bytes(column, count).map_err(|e| e.context(format!("column {column}")))?;
            let fixed = types::fixed_length(found).map_or(0, |length| count.saturating_mul(length));
            let bytes = count.saturating_mul(VALUE_BYTES).saturating_add(strings).saturating_add(fixed);
            if is_within {
                room.take(bytes)?;
            }
            needed = needed.saturating_add(bytes);
        }
        let a_row = (needed / rows).max(1);
        room.take(a_row.saturating_sub(BATCH_BYTES))?;
        Ok((BATCH_BYTES / a_row).clamp(1, MAX_BATCH_ROWS) as usize)
    }

    fn kind(&self, column: usize) -> TypeKind {
        self.types.get(column).map_or(TypeKind::Struct, Type::kind)
    }

    fn encoding(&self, column: usize) -> Encoding {
        self.footer.columns.get(column).map_or(Encoding::Direct, |found| found.kind())
    }

    /// Elements of all lists, or pairs of all maps, of a column of such.
    fn elements(&self, column: usize) -> Result<Option<u64>> {
        if !matches!(self.kind(column), TypeKind::List | TypeKind::Map) {
            return Ok(None);
        }
        let is_version_2 = is_version_2(self.encoding(column));
        Ok(Some(measure(self.streams.get(column, StreamKind::Length), is_version_2, u64::MAX)?.sum))
    }

    /// Bytes that a column of strings decodes to, at most; lengths that claim more than is there are refused.
    fn string_bytes(&self, column: usize, count: u64) -> Result<u64> {
        use TypeKind::{Binary, Char, String, Varchar};
        if !matches!(self.kind(column), String | Char | Varchar | Binary) {
            return Ok(0);
        }
        let encoding = self.encoding(column);
        let is_dictionary = matches!(encoding, Encoding::Dictionary | Encoding::DictionaryV2);
        let is_dictionary = is_dictionary && self.kind(column) != Binary; // which the decoder has no dictionaries of
        let size = self.footer.columns.get(column).map_or(0, |found| u64::from(found.dictionary_size()));
        let (kind, most) =
            if is_dictionary { (StreamKind::DictionaryData, size) } else { (StreamKind::Data, u64::MAX) };
        let found = measure(self.streams.get(column, StreamKind::Length), is_version_2(encoding), most)?;
        let bytes = self.streams.get(column, kind).len() as u64;
        if found.sum > bytes || (is_dictionary && found.count < size) {
            return Err(damaged(format!("{} strings of {} bytes, where {bytes} are", found.count, found.sum)));
        }
        Ok(if is_dictionary { count.saturating_mul(found.largest) } else { bytes })
    }
}

/// Which version of runs a column's numbers have, as the decoder sees it: whatever kind of column that is.
fn is_version_2(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::DirectV2 | Encoding::DictionaryV2)
}

fn part(file: &Bytes, start: Option<u64>, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(start?).ok()?;
    file.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

/// The streams as a file of their own.
fn assemble(mut bytes: Vec<u8>, footer: &StripeFooter, types: Vec<Type>, rows: u64) -> Bytes {
    let offset = MAGIC.len() as u64;
    let data_length = bytes.len() as u64 - offset;
    let footer = footer.encode_to_vec();
    let info = StripeInformation {
        offset: Some(offset),
        index_length: Some(0),
        data_length: Some(data_length),
        footer_length: Some(footer.len() as u64),
        number_of_rows: Some(rows),
        ..StripeInformation::default()
    };
    bytes.extend_from_slice(&footer);
    let tail = Footer { stripes: vec![info], types, number_of_rows: Some(rows), ..Footer::default() };
    let tail = tail.encode_to_vec();
    bytes.extend_from_slice(&tail);
    let postscript = PostScript {
        footer_length: Some(tail.len() as u64),
        compression: Some(CompressionKind::None.into()),
        metadata_length: Some(0),
        magic: Some("ORC".to_string()),
        ..PostScript::default()
    };
    let postscript = postscript.encode_to_vec();
    bytes.extend_from_slice(&postscript);
    bytes.push(u8::try_from(postscript.len()).unwrap_or(u8::MAX));
    Bytes::from(bytes)
}
