//! A chunk's pages as they come: compressed, put one after another, told of in the column's metadata and page indexes.
//!
//! Page headers are Thrift's compact protocol, written by hand: a dozen numbers. Must not know: how values are encoded.

use std::collections::VecDeque;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Encoding, EncodingMask, PageType, Type};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::properties::WriterPropertiesPtr;
use parquet::schema::types::ColumnDescPtr;

use super::codec::Compressor;
use super::{Chunk, Page, Values};
use crate::error::{Error, Kind, Result};
use crate::parquet::put_varint;
use crate::write::encode::encoding as failed;

/// Numbers of Thrift's compact protocol.
const I32: u8 = 5;
const STRUCT: u8 = 12;
/// A page's header is shorter.
const MOST_HEADER_BYTES: usize = 64;

/// The pages of a chunk.
pub(super) struct Sink {
    descriptor: ColumnDescPtr,
    index_longest_bytes: Option<usize>,
    longest_bytes: Option<usize>,
    pages: VecDeque<Bytes>,
    /// Bytes of them
    length: usize,
    compressor: Compressor,
    /// Bytes of pages with their headers, had they not been compressed
    uncompressed: usize,
    places: Vec<Place>,
    index: ColumnIndexBuilder,
    order: Order,
    rows: usize,
    nulls: u64,
    text_bytes: Option<u64>,
    encodings: Vec<PageEncodingStats>,
}

/// A page in the chunk.
struct Place {
    start: usize,
    length: usize,
    rows: usize,
    text_bytes: Option<u64>,
}

/// Whether pages' extremes only rise, or only fall.
struct Order {
    rises: bool,
    falls: bool,
    last: Option<(Vec<u8>, Vec<u8>)>,
}

impl Sink {
    pub(super) fn new(descriptor: &ColumnDescPtr, wish: &WriterPropertiesPtr) -> Sink {
        let codec = wish.compression(descriptor.path());
        Sink {
            descriptor: descriptor.clone(),
            index_longest_bytes: wish.column_index_truncate_length(),
            longest_bytes: wish.statistics_truncate_length(),
            pages: VecDeque::new(),
            length: 0,
            compressor: Compressor::new(codec, descriptor.physical_type() == Type::BYTE_ARRAY),
            uncompressed: 0,
            places: Vec::new(),
            index: ColumnIndexBuilder::new(descriptor.physical_type()),
            order: Order { rises: true, falls: true, last: None },
            rows: 0,
            nulls: 0,
            text_bytes: None,
            encodings: Vec::new(),
        }
    }

    /// Appends a data page with its levels and values in `body`, of so many rows and nulls among them.
    pub(super) fn page(
        &mut self,
        page: Page,
        body: &[u8],
        (rows, nulls): (usize, usize),
        values: &dyn Values,
    ) -> Result<()> {
        let start = self.length;
        let number = |number: usize| i32::try_from(number).map_err(|_| too_large());
        let encoding = page.encoding;
        let header = [(1, number(rows)?), (2, encoding as i32), (3, Encoding::RLE as i32), (4, Encoding::RLE as i32)];
        let compressed = self.compressor.next(encoding, body)?;
        let (bytes, uncompressed) = page_of(PageType::DATA_PAGE, 5, &header, body.len(), compressed)?;
        self.uncompressed += uncompressed;
        self.rows += rows;
        self.nulls += nulls as u64;
        if let Some(bytes) = page.text_bytes {
            *self.text_bytes.get_or_insert(0) += bytes;
        }
        let length = bytes.len();
        self.length += length;
        self.pages.push_back(bytes);
        self.places.push(Place { start, length, rows, text_bytes: page.text_bytes });
        match self.encodings.last_mut() {
            Some(last) if last.encoding == encoding => last.count += 1,
            _ => self.encodings.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count: 1 }),
        }
        self.tell(page, nulls, values);
        Ok(())
    }

    /// Tells the page index of a page.
    fn tell(&mut self, page: Page, nulls: usize, values: &dyn Values) {
        let (nulls, nans) = (nulls as i64, page.nans.map(|nans| nans as i64));
        match page.extremes {
            _ if !self.index.valid() => {}
            None if page.values == 0 => self.index.append(true, Vec::new(), Vec::new(), nulls, nans),
            None => self.index.to_invalid(),
            Some(extremes) => {
                let (min, max) = (extremes.min, extremes.max);
                if let Some((last_min, last_max)) = &self.order.last {
                    let larger = |one: &[u8], other: &[u8]| values.is_larger(one, other);
                    self.order.rises &= !larger(last_min, &min) && !larger(last_max, &max);
                    self.order.falls &= !larger(&min, last_min) && !larger(&max, last_max);
                }
                let longest = self.index_longest_bytes;
                let (least, most) = (min.clone(), max.clone());
                self.order.last = Some((min, max));
                let (least, most) = (values.shortened(least, longest, false), values.shortened(most, longest, true));
                self.index.append(false, least, most, nulls, nans);
            }
        }
    }

    /// The chunk: its dictionary page first.
    pub(super) fn close(mut self, values: &dyn Values) -> Result<Chunk> {
        let mut first = 0;
        let mut dictionary_offset = None;
        let mut encodings = vec![Encoding::RLE];
        if let Some((body, count)) = values.dictionary().filter(|_| !self.places.is_empty()) {
            let count = i32::try_from(count).map_err(|_| too_large())?;
            let header = [(1, count), (2, Encoding::PLAIN as i32)];
            let compressed = self.compressor.once(&body)?;
            let (bytes, uncompressed) = page_of(PageType::DICTIONARY_PAGE, 7, &header, body.len(), compressed)?;
            self.uncompressed += uncompressed;
            first = bytes.len();
            self.length += first;
            self.pages.push_front(bytes);
            dictionary_offset = Some(0);
            encodings.push(Encoding::PLAIN);
            let stats = PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 };
            self.encodings.insert(0, stats);
        }
        encodings.extend(self.encodings.iter().map(|stats| stats.encoding));
        let mut offsets = OffsetIndexBuilder::new();
        for place in &self.places {
            let length = i32::try_from(place.length).map_err(|_| too_large())?;
            offsets.append_row_count(place.rows as i64);
            offsets.append_offset_and_size((first + place.start) as i64, length);
            offsets.append_unencoded_byte_array_data_bytes(place.text_bytes.map(|bytes| bytes as i64));
        }
        self.index.set_boundary_order(match (self.order.rises, self.order.falls) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        });
        let column_index = if self.index.valid() { Some(self.index.build().map_err(failed)?) } else { None };
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(self.compressor.codec)
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(self.encodings)
            .set_total_compressed_size(self.length as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(first as i64)
            .set_dictionary_page_offset(dictionary_offset)
            .set_statistics(values.statistics(self.nulls, self.longest_bytes))
            .set_unencoded_byte_array_data_bytes(self.text_bytes.map(|bytes| bytes as i64))
            .build()
            .map_err(failed)?;
        let close = ColumnCloseResult {
            bytes_written: self.length as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index,
            offset_index: Some(offsets.build()),
        };
        Ok(Chunk { pages: self.pages, close })
    }
}

/// A page: its header, of which `field` is the struct that is its kind's own, and its body compressed; and the bytes that
/// it would take uncompressed, with a body of so many.
fn page_of(
    kind: PageType,
    field: u8,
    own: &[(u8, i32)],
    body_bytes: usize,
    compressed: &[u8],
) -> Result<(Bytes, usize)> {
    let (whole, length) = (i32::try_from(body_bytes), i32::try_from(compressed.len()));
    let (whole, length) = (whole.map_err(|_| too_large())?, length.map_err(|_| too_large())?);
    let mut out = Vec::with_capacity(MOST_HEADER_BYTES + compressed.len());
    let mut last = 0;
    for (id, value) in [(1, kind as i32), (2, whole), (3, length)] {
        write_i32(&mut last, id, value, &mut out);
    }
    out.push((field - last) << 4 | STRUCT);
    let mut last = 0;
    for (id, value) in own {
        write_i32(&mut last, *id, *value, &mut out);
    }
    out.extend_from_slice(&[0, 0]); // the ends of both structs
    let header = out.len();
    out.extend_from_slice(compressed);
    Ok((Bytes::from(out), header + body_bytes))
}

fn write_i32(last: &mut u8, id: u8, value: i32, out: &mut Vec<u8>) {
    out.push((id - *last) << 4 | I32);
    *last = id;
    put_varint(out, u64::from((value << 1 ^ value >> 31) as u32));
}

fn too_large() -> Error {
    Error::new(Kind::ParquetEncoding, "a page is larger than 2 GiB").hint("lower write.parquet.page-size-bytes")
}
