//! One bit a value, from a test of each value, in words of 64.

use arrow_buffer::{BooleanBuffer, Buffer};

/// Packs `test` of every value.
pub(super) fn pack<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> BooleanBuffer {
    let mut words = Vec::with_capacity(values.len().div_ceil(64));
    let (chunks, rest) = values.as_chunks::<64>();
    words.extend(chunks.iter().map(|chunk| word(chunk, &test)));
    if !rest.is_empty() {
        words.push(rest.iter().rev().fold(0, |word, value| word << 1 | u64::from(test(*value))));
    }
    BooleanBuffer::new(Buffer::from_vec(words), 0, values.len())
}

/// First a byte a value, which the compiler turns into vector compares, then eight bytes into eight bits.
fn word<T: Copy>(chunk: &[T; 64], test: &impl Fn(T) -> bool) -> u64 {
    // Moves bit 8i to bit 56 + i, for i below 8.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut bytes = [0_u8; 64];
    for (byte, value) in bytes.iter_mut().zip(chunk) {
        *byte = u8::from(test(*value));
    }
    let eights = bytes.as_chunks::<8>().0.iter().enumerate();
    eights.fold(0, |word, (at, eight)| word | (u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56) << (8 * at))
}
