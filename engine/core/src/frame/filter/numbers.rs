//! Loops over numbers: integers of any width (also dates, times, decimals) and floats.
//!
//! Integers are compared in their own width, so a literal that does not fit decides without a loop. Floats are compared
//! as doubles; NaN equals itself and is larger than every number.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use arrow_buffer::BooleanBuffer;

use super::pack::pack;
use crate::iceberg::predicate::Op;

/// Up to this many values of `in` are compared one after the other: faster than a hash of the row's value.
const FEW: usize = 4;

/// Tests integers.
pub(super) fn whole<N>(values: &[N], op: Op, literals: &[i128]) -> BooleanBuffer
where
    N: Copy + Ord + Hash + TryFrom<i128>,
{
    match (op, literals.first()) {
        (Op::In, _) => is_in(values, literals),
        (Op::NotIn, _) => !&is_in(values, literals),
        (_, Some(&literal)) => match N::try_from(literal) {
            Ok(literal) => compare(values, op, literal),
            Err(_) => constant(values.len(), outside(op, literal > 0)),
        },
        _ => constant(values.len(), false),
    }
}

/// Tests floats.
pub(super) fn floating<N: Copy + Into<f64>>(values: &[N], op: Op, literals: &[f64]) -> BooleanBuffer {
    let literal = literals.first().copied().unwrap_or(f64::NAN);
    match op {
        Op::IsNan => pack(values, |value| value.into().is_nan()),
        Op::NotNan => pack(values, |value| !value.into().is_nan()),
        Op::In => floating_in(values, literals),
        Op::NotIn => !&floating_in(values, literals),
        _ if literal.is_nan() => against_nan(values, op),
        Op::Lt => pack(values, |value| value.into() < literal),
        Op::Le => pack(values, |value| value.into() <= literal),
        // Negated, so that NaN is above the literal.
        Op::Gt => !&floating(values, Op::Le, literals),
        Op::Ge => !&floating(values, Op::Lt, literals),
        Op::Eq => pack(values, |value| value.into() == literal),
        Op::Ne => pack(values, |value| value.into() != literal),
        _ => constant(values.len(), false),
    }
}

fn against_nan<N: Copy + Into<f64>>(values: &[N], op: Op) -> BooleanBuffer {
    match op {
        Op::Lt | Op::Ne => pack(values, |value| !value.into().is_nan()),
        Op::Ge | Op::Eq => pack(values, |value| value.into().is_nan()),
        _ => constant(values.len(), op == Op::Le),
    }
}

fn compare<N: Copy + Ord>(values: &[N], op: Op, literal: N) -> BooleanBuffer {
    match op {
        Op::Lt => pack(values, |value| value < literal),
        Op::Le => pack(values, |value| value <= literal),
        Op::Gt => pack(values, |value| value > literal),
        Op::Ge => pack(values, |value| value >= literal),
        Op::Eq => pack(values, |value| value == literal),
        Op::Ne => pack(values, |value| value != literal),
        _ => constant(values.len(), false),
    }
}

/// A comparison with a literal above (or below) every value of the width.
fn outside(op: Op, above: bool) -> bool {
    match op {
        Op::Lt | Op::Le => above,
        Op::Gt | Op::Ge => !above,
        _ => op == Op::Ne,
    }
}

fn is_in<N>(values: &[N], literals: &[i128]) -> BooleanBuffer
where
    N: Copy + Ord + Hash + TryFrom<i128>,
{
    let mut wanted: Vec<(N, i128)> =
        literals.iter().filter_map(|&wide| N::try_from(wide).ok().map(|narrow| (narrow, wide))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let (Some(&(low, low_wide)), Some(&(high, high_wide))) = (wanted.first(), wanted.last()) else {
        return constant(values.len(), false);
    };
    if wanted.len() <= FEW {
        return few(values, &wanted.iter().map(|(narrow, _)| *narrow).collect::<Vec<_>>());
    }
    if high_wide.checked_sub(low_wide) == i128::try_from(wanted.len() - 1).ok() {
        return pack(values, |value| value >= low && value <= high); // a range without gaps
    }
    let set: HashSet<N, Mixed> = wanted.iter().map(|(narrow, _)| *narrow).collect();
    pack(values, |value| value >= low && value <= high && set.contains(&value))
}

fn few<N: Copy + PartialEq>(values: &[N], wanted: &[N]) -> BooleanBuffer {
    let mut padded = [wanted[0]; FEW];
    padded[..wanted.len()].copy_from_slice(wanted);
    let [a, b, c, d] = padded;
    pack(values, |value| (value == a) | (value == b) | (value == c) | (value == d))
}

fn floating_in<N: Copy + Into<f64>>(values: &[N], literals: &[f64]) -> BooleanBuffer {
    let set: HashSet<u64, Mixed> = literals.iter().map(|value| identity(*value)).collect();
    if set.is_empty() {
        return constant(values.len(), false);
    }
    if set.len() > FEW || literals.iter().any(|value| value.is_nan()) {
        return pack(values, |value| set.contains(&identity(value.into())));
    }
    let wanted: Vec<f64> = set.iter().map(|bits| f64::from_bits(*bits)).collect();
    let mut padded = [wanted[0]; FEW];
    padded[..wanted.len()].copy_from_slice(&wanted);
    let [a, b, c, d] = padded;
    pack(values, |value| {
        let value = value.into();
        (value == a) | (value == b) | (value == c) | (value == d)
    })
}

/// Bits that are the same for equal values.
fn identity(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        (value + 0.0).to_bits() // -0.0 becomes 0.0
    }
}

fn constant(rows: usize, value: bool) -> BooleanBuffer {
    if value { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) }
}

/// A hash of integers by multiplication. The values come from the caller's own filter, so nobody can choose collisions.
#[derive(Default)]
pub(super) struct Multiply(u64);

/// For sets of integers.
pub(super) type Mixed = BuildHasherDefault<Multiply>;

impl Hasher for Multiply {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Multiply {
    fn mix(&mut self, word: u64) {
        // The constant is 2^64 divided by the golden ratio; hash tables use the lowest and the highest bits.
        let product = u128::from(self.0.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}
