//! Which rows of a part hold a value: nothing is kept until the first null comes.
//!
//! Must not know: types, values.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};

/// Validity of consecutive rows, appended run by run.
#[derive(Default)]
pub struct Validity {
    length: usize,
    capacity: usize,
    bits: Option<BooleanBufferBuilder>,
}

impl Validity {
    /// For about `capacity` rows.
    pub fn new(capacity: usize) -> Validity {
        Validity { capacity, ..Validity::default() }
    }

    /// `rows` rows that hold a value.
    pub fn append_valid(&mut self, rows: usize) {
        if let Some(bits) = &mut self.bits {
            bits.append_n(rows, true);
        }
        self.length += rows;
    }

    /// Rows whose bits, from the first of `bits` on, say whether they hold a value.
    fn append_bits(&mut self, bits: &[u8], rows: usize) {
        self.bits().append_packed_range(0..rows, bits);
        self.length += rows;
    }

    /// The same in words, the first bit lowest.
    pub fn append_words(&mut self, words: &[u64], rows: usize) {
        self.append_bits(arrow_buffer::ToByteSlice::to_byte_slice(words), rows);
    }

    /// The rows of an array.
    pub fn append_array(&mut self, array: &ArrayRef) {
        match array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            None => self.append_valid(array.len()),
            Some(nulls) => {
                self.bits().append_buffer(nulls.inner());
                self.length += nulls.len();
            }
        }
    }

    /// The whole; None where every row holds a value.
    pub fn finish(self) -> Option<NullBuffer> {
        let bits: BooleanBuffer = self.bits?.build();
        Some(NullBuffer::new(bits)).filter(|nulls| nulls.null_count() > 0)
    }

    fn bits(&mut self) -> &mut BooleanBufferBuilder {
        let (length, capacity) = (self.length, self.capacity);
        self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(capacity.max(length));
            bits.append_n(length, true);
            bits
        })
    }
}

/// The validity of parts below one another, each with its number of rows.
pub fn join(parts: &[(Option<NullBuffer>, usize)], rows: usize) -> Option<NullBuffer> {
    if parts.iter().all(|(nulls, _)| nulls.is_none()) {
        return None;
    }
    let mut bits = BooleanBufferBuilder::new(rows);
    for (nulls, length) in parts {
        match nulls {
            Some(nulls) => bits.append_buffer(nulls.inner()),
            None => bits.append_n(*length, true),
        }
    }
    Some(NullBuffer::new(bits.build()))
}
