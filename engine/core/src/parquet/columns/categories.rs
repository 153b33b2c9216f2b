//! Strings as positions in a dictionary of the whole column: the parts of a column share one set of distinct strings.
//!
//! A file's dictionary page is looked up once, so that a row costs what a number costs. Which thread meets a string first
//! is chance; so once all rows are written, positions become those of the order in which the rows have the strings, and
//! what no row has is dropped. Must not know: pages, files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::builder::LargeBinaryBuilder;
use arrow_array::{Array, ArrayRef, LargeBinaryArray, LargeStringArray};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType;

use crate::arena::{Account, Frozen, Share};
use crate::error::{Error, Kind, Result};

/// Bytes of a position.
pub const CODE_BYTES: usize = 4;
/// What a distinct string costs beside its bytes, about.
const ENTRY_BYTES: u64 = 64;
const NOT_SEEN: u32 = u32::MAX;

/// The distinct strings of a column. Clones share them.
#[derive(Clone)]
pub struct Categories {
    known: Arc<Mutex<Known>>,
    account: Account,
}

#[derive(Default)]
struct Known {
    codes: HashMap<Box<[u8]>, u32>,
    shares: Vec<Share>,
}

impl Categories {
    /// None yet; their memory is counted on `account`.
    pub fn new(account: Account) -> Categories {
        Categories { known: Arc::default(), account }
    }

    /// Appends the position of each string to `out`, as little-endian 32-bit integers.
    pub fn encode<'a>(&self, strings: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut added = 0;
        for string in strings {
            let code = match known.codes.get(string) {
                Some(code) => *code,
                None => {
                    let code = i32::try_from(known.codes.len()).map_err(|_| too_many())?.cast_unsigned();
                    added += string.len() as u64 + ENTRY_BYTES;
                    known.codes.insert(string.into(), code);
                    code
                }
            };
            out.extend_from_slice(&code.to_le_bytes());
        }
        if added > 0 {
            known.shares.push(self.account.take(added)?);
        }
        Ok(())
    }

    /// The finished positions, in order of appearance, and the strings that they stand for.
    pub fn finish(self, frozen: Frozen, nulls: Option<&NullBuffer>, values: &DataType) -> Result<(Buffer, ArrayRef)> {
        let known = std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner));
        let (frozen, mut slot) = frozen.reopen()?;
        let codes = slot.as_chunks_mut::<CODE_BYTES>().0;
        let order = appearance(codes, nulls, known.codes.len());
        let mut places = vec![NOT_SEEN; known.codes.len()];
        for (place, code) in order.iter().enumerate() {
            places[*code as usize] = place as u32;
        }
        let is_in_order = places.iter().enumerate().all(|(code, place)| *place == code as u32 || *place == NOT_SEEN);
        if !is_in_order || nulls.is_some() {
            // What lies under a null means nothing, but is to be a position that there is.
            for code in codes.iter_mut() {
                let place = places.get(u32::from_le_bytes(*code) as usize).copied().unwrap_or(0);
                *code = (if place == NOT_SEEN { 0 } else { place }).to_le_bytes();
            }
        }
        drop(slot);
        let mut strings: Vec<&[u8]> = vec![b""; order.len()];
        for (string, code) in &known.codes {
            if let Some(place) = places.get(*code as usize).and_then(|place| strings.get_mut(*place as usize)) {
                *place = string;
            }
        }
        Ok((frozen.freeze()?, array(&strings, values)?))
    }
}

/// The positions that rows have, each once, in the order in which they come.
fn appearance(codes: &[[u8; CODE_BYTES]], nulls: Option<&NullBuffer>, known: usize) -> Vec<u32> {
    let (mut seen, mut order) = (vec![false; known], Vec::new());
    for (row, code) in codes.iter().enumerate() {
        if order.len() == known {
            break;
        }
        let code = u32::from_le_bytes(*code);
        match seen.get_mut(code as usize) {
            Some(seen) if !*seen && nulls.is_none_or(|nulls| nulls.is_valid(row)) => {
                *seen = true;
                order.push(code);
            }
            _ => {}
        }
    }
    order
}

fn array(strings: &[&[u8]], data_type: &DataType) -> Result<ArrayRef> {
    let mut builder = LargeBinaryBuilder::with_capacity(strings.len(), strings.iter().map(|each| each.len()).sum());
    strings.iter().for_each(|string| builder.append_value(string));
    let bytes: LargeBinaryArray = builder.finish();
    match data_type {
        DataType::LargeUtf8 => {
            let (offsets, values, nulls) = bytes.into_parts();
            let text = LargeStringArray::try_new(offsets, values, nulls);
            Ok(Arc::new(text.map_err(|e| Error::new(Kind::Internal, format!("categories: {e}")))?) as Arc<dyn Array>)
        }
        _ => Ok(Arc::new(bytes)),
    }
}

fn too_many() -> Error {
    Error::new(Kind::MemoryLimit, "a column has more than 2^31 distinct strings").hint("load it without categories")
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;

    use super::*;
    use crate::arena::Region;

    #[test]
    fn categories_are_in_the_order_of_the_rows_whoever_met_them_first() {
        let categories = Categories::new(Account::new(1 << 20));
        let (mut later, mut first) = (Vec::new(), Vec::new());
        categories.encode([&b"c"[..], b"unused", b"a"].into_iter(), &mut later).unwrap();
        categories.encode([&b"b"[..], b"a", b"a"].into_iter(), &mut first).unwrap();
        let rows = [first[..].to_vec(), later[..4].to_vec(), later[8..].to_vec()].concat();
        let (frozen, mut slot) = Region::new(rows.len()).unwrap().whole().unwrap();
        slot.copy_from_slice(&rows);
        drop(slot);
        let nulls = NullBuffer::from(vec![true, true, true, true, false]);

        let (codes, values) = categories.finish(frozen, Some(&nulls), &DataType::LargeUtf8).unwrap();

        assert_eq!(codes.typed_data::<i32>()[..4], [0, 1, 1, 2]);
        assert!(codes.typed_data::<i32>()[4] < 3);
        let values: Vec<_> = values.as_string::<i64>().iter().flatten().map(String::from).collect();
        assert_eq!(values, ["b", "a", "c"]);
    }

    #[test]
    fn distinct_strings_beyond_the_limit_are_refused() {
        let categories = Categories::new(Account::new(200));
        let strings: Vec<Vec<u8>> = (0..10u8).map(|each| vec![each; 10]).collect();
        let refused = categories.encode(strings.iter().map(Vec::as_slice), &mut Vec::new());
        assert_eq!(refused.unwrap_err().kind(), Kind::MemoryLimit);
    }
}
