//! Loops over strings and bytes, compared bytewise (which for UTF-8 is the order of code points).
//!
//! Views carry their length and first four bytes beside each other, so most rows are decided without looking at the
//! text itself. Layout: <https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout>.

use std::collections::HashSet;

use arrow_array::types::{ByteArrayType, ByteViewType};
use arrow_array::{Array, FixedSizeBinaryArray, GenericByteArray, GenericByteViewArray, OffsetSizeTrait};
use arrow_buffer::{ArrowNativeType, BooleanBuffer};

use super::numbers::Mixed;
use super::pack::pack;
use crate::iceberg::predicate::Op;

/// Values up to this length lie inside their view.
const INLINE: usize = 12;
/// Length and first four bytes.
const HEAD: u128 = u64::MAX as u128;

/// A test of byte strings.
pub(super) struct Test<'a> {
    pub(super) op: Op,
    pub(super) literals: Vec<&'a [u8]>,
}

impl Test<'_> {
    /// Tests values that lie one after the other.
    pub(super) fn offsets<T: ByteArrayType>(&self, array: &GenericByteArray<T>) -> BooleanBuffer
    where
        T::Offset: OffsetSizeTrait,
    {
        let (offsets, data) = (array.value_offsets(), array.value_data());
        self.each(array.len(), |row| data.get(offsets[row].as_usize()..offsets[row + 1].as_usize()).unwrap_or_default())
    }

    /// Tests values of one length.
    pub(super) fn fixed(&self, array: &FixedSizeBinaryArray) -> BooleanBuffer {
        self.each(array.len(), |row| array.value(row))
    }

    /// Tests views.
    pub(super) fn views<T: ByteViewType>(&self, array: &GenericByteViewArray<T>) -> BooleanBuffer {
        let views = array.views();
        let value = |row: usize| -> &[u8] { array.value(row).as_ref() };
        let Some(literal) = self.literals.first().copied() else {
            return self.each(array.len(), value);
        };
        match self.op {
            Op::Eq => equal_views(views, literal, value),
            Op::Ne => !&equal_views(views, literal, value),
            Op::In => views_in(views, &self.literals, value),
            Op::NotIn => !&views_in(views, &self.literals, value),
            Op::StartsWith => views_start(views, literal, value),
            Op::NotStartsWith => !&views_start(views, literal, value),
            Op::Lt => views_below(views, literal, value, false),
            Op::Le => views_below(views, literal, value, true),
            Op::Gt => !&views_below(views, literal, value, true),
            Op::Ge => !&views_below(views, literal, value, false),
            _ => self.each(array.len(), value),
        }
    }

    fn each<'v>(&self, rows: usize, value: impl Fn(usize) -> &'v [u8]) -> BooleanBuffer {
        let literal = self.literals.first().copied().unwrap_or_default();
        match self.op {
            Op::Lt => BooleanBuffer::collect_bool(rows, |row| value(row) < literal),
            Op::Le => BooleanBuffer::collect_bool(rows, |row| value(row) <= literal),
            Op::Gt => BooleanBuffer::collect_bool(rows, |row| value(row) > literal),
            Op::Ge => BooleanBuffer::collect_bool(rows, |row| value(row) >= literal),
            Op::Eq => BooleanBuffer::collect_bool(rows, |row| value(row) == literal),
            Op::Ne => BooleanBuffer::collect_bool(rows, |row| value(row) != literal),
            Op::StartsWith => BooleanBuffer::collect_bool(rows, |row| value(row).starts_with(literal)),
            Op::NotStartsWith => BooleanBuffer::collect_bool(rows, |row| !value(row).starts_with(literal)),
            Op::In => self.members(rows, value),
            Op::NotIn => !&self.members(rows, value),
            _ => BooleanBuffer::new_unset(rows),
        }
    }

    fn members<'v>(&self, rows: usize, value: impl Fn(usize) -> &'v [u8]) -> BooleanBuffer {
        let set: HashSet<&[u8]> = self.literals.iter().copied().collect();
        // One bit a length, so that most values of another length are not hashed.
        let lengths = set.iter().fold(0_u64, |lengths, each| lengths | 1 << (each.len() % 64));
        BooleanBuffer::collect_bool(rows, |row| {
            let value = value(row);
            lengths >> (value.len() % 64) & 1 == 1 && set.contains(value)
        })
    }
}

fn equal_views<'v>(views: &[u128], literal: &[u8], value: impl Fn(usize) -> &'v [u8]) -> BooleanBuffer {
    if let Some(wanted) = inline(literal) {
        return pack(views, |view| view == wanted);
    }
    let head = head(literal);
    BooleanBuffer::collect_bool(views.len(), |row| views[row] & HEAD == head && value(row) == literal)
}

fn views_in<'v>(views: &[u128], literals: &[&[u8]], value: impl Fn(usize) -> &'v [u8]) -> BooleanBuffer {
    let short: HashSet<u128, Mixed> = literals.iter().filter_map(|literal| inline(literal)).collect();
    let long: HashSet<&[u8]> = literals.iter().copied().filter(|literal| literal.len() > INLINE).collect();
    let heads: HashSet<u64, Mixed> = long.iter().map(|literal| head(literal) as u64).collect();
    BooleanBuffer::collect_bool(views.len(), |row| {
        let view = views[row];
        if view as u32 as usize <= INLINE {
            short.contains(&view)
        } else {
            heads.contains(&(view as u64)) && long.contains(value(row))
        }
    })
}

fn views_start<'v>(views: &[u128], prefix: &[u8], value: impl Fn(usize) -> &'v [u8]) -> BooleanBuffer {
    let known = prefix.len().min(4);
    let mask = (1_u128 << (8 * known)) - 1;
    let wanted = head(prefix) >> 32 & mask;
    let may = move |view: u128| view as u32 as usize >= prefix.len() && view >> 32 & mask == wanted;
    if prefix.len() <= 4 {
        return pack(views, may);
    }
    BooleanBuffer::collect_bool(views.len(), |row| may(views[row]) && value(row).starts_with(prefix))
}

/// Below the literal, or equal to it where `or_equal`.
fn views_below<'v>(views: &[u128], literal: &[u8], value: impl Fn(usize) -> &'v [u8], or_equal: bool) -> BooleanBuffer {
    let first = order(head(literal));
    BooleanBuffer::collect_bool(views.len(), |row| {
        let found = order(views[row]);
        // Short values are padded with zeros, so first bytes that differ decide as the whole values would.
        if found != first {
            return found < first;
        }
        let value = value(row);
        value < literal || (or_equal && value == literal)
    })
}

/// The view of a value that lies inside it.
fn inline(value: &[u8]) -> Option<u128> {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
    bytes.get_mut(4..4 + value.len())?.copy_from_slice(value);
    Some(u128::from_le_bytes(bytes))
}

/// Length and first four bytes, as the low half of a view holds them.
fn head(value: &[u8]) -> u128 {
    let mut first = [0; 4];
    let known = value.len().min(4);
    first[..known].copy_from_slice(&value[..known]);
    value.len() as u128 & 0xffff_ffff | u128::from(u32::from_le_bytes(first)) << 32
}

/// The first four bytes as a number that orders as they do.
fn order(view: u128) -> u32 {
    ((view >> 32) as u32).swap_bytes()
}
