//! The compact Thrift encoding of a footer, walked without being decoded: for what must be known before the crate's
//! reader sees it, and for what that reader stumbles over.
//!
//! Three questions: how deep is the schema nested (the crate's reader recurses over it), does the file hold encrypted
//! columns, and which fields have another type than the format gives them (the crate's reader takes a field by its
//! number alone; Thrift's rule is to skip what is of an unknown type, and Dremio once wrote its own fields under numbers
//! that the format has since given away). Encoding:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>. Must not know: what a footer means.

use crate::error::{Error, Kind, Result};

/// Structs and lists within one another, at most, in what is skipped.
const MAX_DEPTH: usize = 64;

/// Wire types of the compact protocol.
pub(super) mod wire {
    pub const STOP: u8 = 0;
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const I8: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
}

/// Numbers of the fields that are walked (parquet.thrift).
mod field {
    pub const FILE_SCHEMA: i16 = 2;
    pub const FILE_ROW_GROUPS: i16 = 4;
    pub const FILE_ENCRYPTION_ALGORITHM: i16 = 8;
    pub const ELEMENT_CHILDREN: i16 = 5;
    pub const GROUP_COLUMNS: i16 = 1;
    pub const CHUNK_METADATA: i16 = 3;
}

/// Wire types of ColumnMetaData's fields 1 to 17.
const COLUMN_METADATA: [u8; 17] = [
    wire::I32,
    wire::LIST,
    wire::LIST,
    wire::I32,
    wire::I64,
    wire::I64,
    wire::I64,
    wire::LIST,
    wire::I64,
    wire::I64,
    wire::I64,
    wire::STRUCT,
    wire::LIST,
    wire::I64,
    wire::I32,
    wire::STRUCT,
    wire::STRUCT,
];

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A field's header.
pub(super) struct Header {
    pub id: i16,
    pub wire: u8,
}

/// Levels of groups in the schema, the root included.
pub fn schema_depth(footer: &[u8]) -> Result<usize> {
    let mut cursor = Cursor::new(footer);
    let mut last = 0;
    while let Some(header) = cursor.header(&mut last)? {
        if header.id == field::FILE_SCHEMA && header.wire == wire::LIST {
            return cursor.schema_depth();
        }
        cursor.skip(header.wire, 0)?;
    }
    Ok(0)
}

/// Whether the file's footer is plain and columns of it are encrypted.
pub fn holds_encrypted_columns(footer: &[u8]) -> bool {
    let mut cursor = Cursor::new(footer);
    let mut last = 0;
    while let Ok(Some(header)) = cursor.header(&mut last) {
        if header.id == field::FILE_ENCRYPTION_ALGORITHM && header.wire == wire::STRUCT {
            return true;
        }
        if cursor.skip(header.wire, 0).is_err() {
            return false;
        }
    }
    false
}

/// The footer without those fields of its column chunks that are of another type than the format's.
pub fn without_foreign_fields(footer: &[u8]) -> Result<Vec<u8>> {
    let mut cursor = Cursor::new(footer);
    let mut out = Vec::with_capacity(footer.len());
    cursor.copy_struct(&mut out, &|_| true, &mut |cursor, out, header| {
        let groups = header.id == field::FILE_ROW_GROUPS;
        cursor.copy_list_if(groups, header, out, &mut |cursor, out| {
            cursor.copy_struct(out, &|_| true, &mut |cursor, out, header| {
                let columns = header.id == field::GROUP_COLUMNS;
                cursor.copy_list_if(columns, header, out, &mut Cursor::copy_chunk)
            })
        })
    })?;
    Ok(out)
}

type CopyField<'c, 'a> = dyn FnMut(&mut Cursor<'a>, &mut Vec<u8>, &Header) -> Result<()> + 'c;
type CopyElement<'c, 'a> = dyn FnMut(&mut Cursor<'a>, &mut Vec<u8>) -> Result<()> + 'c;

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(ended)?;
        self.at += 1;
        Ok(byte)
    }

    fn advance(&mut self, count: u64) -> Result<()> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        self.at = end.filter(|end| *end <= self.bytes.len()).ok_or_else(ended)?;
        Ok(())
    }

    /// A value of bytes, which its length precedes.
    pub fn binary(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        let start = self.at;
        self.advance(length)?;
        Ok(&self.bytes[start..self.at])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged("a number of more than 64 bits"))
    }

    pub fn signed(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The next field's header; None at the end of the struct. `last` is the number of the field before it.
    pub fn header(&mut self, last: &mut i16) -> Result<Option<Header>> {
        let byte = self.byte()?;
        if byte & 0x0f == wire::STOP {
            return Ok(None);
        }
        let delta = i16::from(byte >> 4);
        let id = match delta {
            0 => i16::try_from(self.signed()?).ok(),
            delta => last.checked_add(delta),
        };
        *last = id.ok_or_else(|| damaged("a field number of more than 16 bits"))?;
        Ok(Some(Header { id: *last, wire: byte & 0x0f }))
    }

    /// Wire type of the elements, and how many.
    pub fn list(&mut self) -> Result<(u8, u64)> {
        let byte = self.byte()?;
        let size = match byte >> 4 {
            15 => self.varint()?,
            size => u64::from(size),
        };
        if size > (self.bytes.len() - self.at) as u64 {
            return Err(damaged("a list longer than the footer"));
        }
        Ok((byte & 0x0f, size))
    }

    pub fn skip(&mut self, wire: u8, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(damaged("structs nested without end"));
        }
        match wire {
            wire::TRUE | wire::FALSE => Ok(()),
            wire::I8 => self.advance(1),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(|_| ()),
            wire::DOUBLE => self.advance(8),
            wire::BINARY => self.varint().and_then(|length| self.advance(length)),
            wire::LIST | wire::SET => {
                let (element, size) = self.list()?;
                (0..size).try_for_each(|_| self.skip_element(element, depth + 1))
            }
            wire::MAP => self.skip_map(depth),
            wire::STRUCT => {
                let mut last = 0;
                while let Some(header) = self.header(&mut last)? {
                    self.skip(header.wire, depth + 1)?;
                }
                Ok(())
            }
            other => Err(damaged(&format!("a field of type {other}"))),
        }
    }

    /// Elements of lists and maps are as fields, but booleans take a byte.
    pub fn skip_element(&mut self, wire: u8, depth: usize) -> Result<()> {
        if matches!(wire, wire::TRUE | wire::FALSE) { self.advance(1) } else { self.skip(wire, depth) }
    }

    fn skip_map(&mut self, depth: usize) -> Result<()> {
        let size = self.varint()?;
        if size == 0 {
            return Ok(());
        }
        let types = self.byte()?;
        if size > (self.bytes.len() - self.at) as u64 {
            return Err(damaged("a map longer than the footer"));
        }
        (0..size).try_for_each(|_| {
            self.skip_element(types >> 4, depth + 1)?;
            self.skip_element(types & 0x0f, depth + 1)
        })
    }

    /// The schema is a list in depth-first order, each group with the number of its children.
    fn schema_depth(&mut self) -> Result<usize> {
        let (element, size) = self.list()?;
        let mut open: Vec<i64> = Vec::new(); // children still to come, a group a level
        let mut deepest = 0;
        for _ in 0..size {
            if element != wire::STRUCT {
                return Err(damaged("a schema that is no list of elements"));
            }
            let children = self.element_children()?;
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
                deepest = deepest.max(open.len());
            }
        }
        Ok(deepest)
    }

    fn element_children(&mut self) -> Result<i64> {
        let mut last = 0;
        let mut children = 0;
        while let Some(header) = self.header(&mut last)? {
            if header.id == field::ELEMENT_CHILDREN && header.wire == wire::I32 {
                children = self.signed()?;
            } else {
                self.skip(header.wire, 0)?;
            }
        }
        Ok(children)
    }

    fn copy_chunk(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.copy_struct(out, &|_| true, &mut |cursor, out, header| {
            if header.id == field::CHUNK_METADATA && header.wire == wire::STRUCT {
                return cursor.copy_struct(out, &is_of_its_type, &mut Cursor::copy_value);
            }
            cursor.copy_value(out, header)
        })
    }

    /// Copies a struct, leaving out the fields that are not kept.
    fn copy_struct(
        &mut self,
        out: &mut Vec<u8>,
        keep: &dyn Fn(&Header) -> bool,
        copy: &mut CopyField<'_, 'a>,
    ) -> Result<()> {
        let (mut last, mut written) = (0, 0);
        while let Some(header) = self.header(&mut last)? {
            if !keep(&header) {
                self.skip(header.wire, 0)?;
                continue;
            }
            match header.id.checked_sub(written) {
                Some(delta @ 1..=15) => out.push((delta as u8) << 4 | header.wire),
                _ => {
                    out.push(header.wire);
                    let id = i64::from(header.id);
                    put_varint(out, ((id << 1) ^ (id >> 63)) as u64);
                }
            }
            written = header.id;
            copy(self, out, &header)?;
        }
        out.push(wire::STOP);
        Ok(())
    }

    /// Copies a list of structs one by one where `apply`, else any value as it is.
    fn copy_list_if(
        &mut self,
        apply: bool,
        header: &Header,
        out: &mut Vec<u8>,
        copy: &mut CopyElement<'_, 'a>,
    ) -> Result<()> {
        if !apply || header.wire != wire::LIST {
            return self.copy_value(out, header);
        }
        let start = self.at;
        let (element, size) = self.list()?;
        out.extend_from_slice(&self.bytes[start..self.at]);
        if element != wire::STRUCT {
            return Err(damaged("a list of structs that holds something else"));
        }
        (0..size).try_for_each(|_| copy(self, out))
    }

    fn copy_value(&mut self, out: &mut Vec<u8>, header: &Header) -> Result<()> {
        let start = self.at;
        self.skip(header.wire, 0)?;
        out.extend_from_slice(&self.bytes[start..self.at]);
        Ok(())
    }
}

/// Fields that the format does not know are kept: the crate's reader skips them.
fn is_of_its_type(header: &Header) -> bool {
    let known = usize::try_from(header.id).ok().and_then(|id| COLUMN_METADATA.get(id.checked_sub(1)?));
    known.is_none_or(|wire| *wire == header.wire)
}

/// Appends a number in groups of seven bits, the lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn ended() -> Error {
    damaged("it ends within a value")
}

fn damaged(what: &str) -> Error {
    Error::new(Kind::ParquetDecoding, format!("the footer is not Parquet's Thrift: {what}"))
        .hint("the file is damaged or was not written whole: write it again, or restore it")
}
