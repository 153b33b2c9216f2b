//! Values by their positions in a table: all of a page's, or the wanted ones.
//!
//! Must not know: nulls, pages' headers, what values are.

#![allow(unsafe_code)]

use super::bits::word_at;
use super::hybrid::{Run, Runs, collect};
use super::spread::compact_values;
use super::unpack::unpack;
use super::{Refusal, short};

/// Positions that are unpacked at a time.
const BATCH: usize = 1024;
/// Where fewer than one in so many rows are wanted, each is looked up for itself.
const FEW: usize = 4;

/// Values by their positions in a table.
pub fn look_up(positions: &[u8], width: usize, table: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    match width {
        1 => look_up_values::<[u8; 1]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        2 => look_up_values::<[u8; 2]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        4 => look_up_values::<[u8; 4]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        8 => look_up_values::<[u8; 8]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        16 => look_up_values::<[u8; 16]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        _ => look_up_any(positions, width, table, out),
    }
}

/// [`look_up`] for values of a type.
pub fn look_up_values<T: Copy>(positions: &[u8], table: &[T], mut out: &mut [T]) -> Result<(), Refusal> {
    let mut runs = Runs::positions(positions, out.len())?;
    let width = runs.width();
    let mut batch = [0u32; BATCH];
    while let Some(run) = runs.next_run()? {
        match run {
            Run::Same { value, count } => {
                let value = table.get(value as usize).ok_or_else(beyond)?;
                let (places, rest) = out.split_at_mut_checked(count).ok_or_else(short)?;
                places.fill(*value);
                out = rest;
            }
            Run::Packed { mut bytes, count } => {
                let (mut places, rest) = out.split_at_mut_checked(count).ok_or_else(short)?;
                out = rest;
                while !places.is_empty() {
                    let (now, later) = places.split_at_mut(places.len().min(BATCH));
                    let found = batch.get_mut(..now.len()).unwrap_or_default();
                    unpack(bytes, width, found)?;
                    gather(table, found, now)?;
                    bytes = bytes.get(now.len() * width as usize / 8..).unwrap_or_default();
                    places = later;
                }
            }
        }
    }
    Ok(())
}

fn gather<T: Copy>(table: &[T], positions: &[u32], out: &mut [T]) -> Result<(), Refusal> {
    let highest = positions.iter().fold(0, |highest, position| highest.max(*position));
    if highest as usize >= table.len() {
        return Err(beyond());
    }
    for (place, position) in out.iter_mut().zip(positions) {
        // SAFETY: no position is higher than `highest`, which is inside the table.
        *place = unsafe { *table.get_unchecked(*position as usize) };
    }
    Ok(())
}

fn look_up_any(positions: &[u8], width: usize, table: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    if width == 0 {
        return Ok(());
    }
    let mut found = vec![0; out.len() / width];
    collect(Runs::positions(positions, found.len())?, &mut found)?;
    for (place, position) in out.chunks_exact_mut(width).zip(&found) {
        let start = (*position as usize).checked_mul(width).ok_or_else(beyond)?;
        place.copy_from_slice(table.get(start..start.saturating_add(width)).ok_or_else(beyond)?);
    }
    Ok(())
}

fn beyond() -> Refusal {
    Refusal::damaged("a position beyond the dictionary")
}

/// The wanted ones of values by their positions in a table. Where few are wanted, positions are unpacked 64 at a time, and
/// only if one of the 64 is; else many at a time, and moved together before they are looked up.
pub fn pick<T: Copy>(
    positions: &[u8],
    table: &[T],
    (rows, wanted): (usize, &[u64]),
    out: &mut [T],
) -> Result<(), Refusal> {
    let mut runs = Runs::positions(positions, rows)?;
    let width = runs.width();
    let (mut row, mut done) = (0, 0);
    let mut batch = [0u32; BATCH];
    let mut kept = [0u32; BATCH];
    while done < out.len()
        && let Some(run) = runs.next_run()?
    {
        match run {
            Run::Same { value, count } => {
                let ones: usize = windows(wanted, row, count).map(|(window, _)| window.count_ones() as usize).sum();
                if ones > 0 {
                    let value = table.get(value as usize).ok_or_else(beyond)?;
                    out.get_mut(done..done + ones).ok_or_else(short)?.fill(*value);
                }
                (row, done) = (row + count, done + ones);
            }
            Run::Packed { mut bytes, count } => {
                let end = row + count;
                while row < end {
                    let length = (end - row).min(BATCH);
                    let mut words = [0; BATCH / 64];
                    words.iter_mut().zip(windows(wanted, row, length)).for_each(|(word, (window, _))| *word = window);
                    let ones: usize = words.iter().map(|word| word.count_ones() as usize).sum();
                    let target = out.get_mut(done..done + ones).ok_or_else(short)?;
                    let found = batch.get_mut(..length).unwrap_or_default();
                    if ones * FEW < length {
                        pick_few(bytes, width, table, (found, &words), target)?;
                    } else {
                        unpack(bytes, width, found)?;
                        let moved = kept.get_mut(..ones).unwrap_or_default();
                        compact_values(found, &words, moved);
                        gather(table, moved, target)?;
                    }
                    bytes = bytes.get(length * width as usize / 8..).unwrap_or_default();
                    (row, done) = (row + length, done + ones);
                }
            }
        }
    }
    if done == out.len() { Ok(()) } else { Err(short()) }
}

/// One after another; `found` is room for all positions.
fn pick_few<T: Copy>(
    bytes: &[u8],
    width: u32,
    table: &[T],
    (found, words): (&mut [u32], &[u64]),
    out: &mut [T],
) -> Result<(), Refusal> {
    let mut places = out.iter_mut();
    for (at, (found, word)) in found.chunks_mut(64).zip(words).enumerate() {
        if *word == 0 {
            continue;
        }
        unpack(bytes.get(at * 8 * width as usize..).unwrap_or_default(), width, found)?;
        let mut left = *word;
        while left != 0
            && let Some(place) = places.next()
        {
            let position = found.get(left.trailing_zeros() as usize).copied().unwrap_or(0);
            *place = *table.get(position as usize).ok_or_else(beyond)?;
            left &= left - 1;
        }
    }
    Ok(())
}

/// The bits of `count` rows from `row` on, 64 at a time, with the number of rows each stands for.
fn windows(words: &[u64], row: usize, count: usize) -> impl Iterator<Item = (u64, usize)> {
    (0..count).step_by(64).map(move |at| {
        let length = (count - at).min(64);
        (word_at(words, row + at) & (u64::MAX >> (64 - length)), length)
    })
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// A page of positions of `width` bits: runs of packed ones and of equal ones, as Encodings.md has them.
    fn encoded(positions: &[u32], width: u32, random: &mut SmallRng) -> Vec<u8> {
        let mut page = vec![width as u8];
        let mut rest = positions;
        while !rest.is_empty() {
            let length = (8 * random.random_range(1..300usize)).min(rest.len());
            let (run, later) = rest.split_at(length);
            rest = later;
            if run.iter().all(|position| *position == run[0]) {
                crate::parquet::put_varint(&mut page, (length as u64) << 1);
                page.extend_from_slice(&run[0].to_le_bytes()[..width.div_ceil(8) as usize]);
                continue;
            }
            crate::parquet::put_varint(&mut page, (length.div_ceil(8) as u64) << 1 | 1);
            let mut bits = vec![0u8; length.div_ceil(8) * width as usize];
            for (at, position) in run.iter().enumerate() {
                for bit in (0..width as usize).filter(|bit| position >> bit & 1 == 1) {
                    let place = at * width as usize + bit;
                    bits[place / 8] |= 1 << (place % 8);
                }
            }
            page.extend(bits);
        }
        page
    }

    #[test]
    fn wanted_values_are_those_of_all_that_are_wanted() {
        let mut random = SmallRng::seed_from_u64(11);
        for case in 0..400 {
            let width = random.random_range(1..=14u32);
            let rows = [1, 64, 1000, 1024, 1025, 7000][case % 6];
            let share = [0.0, 0.002, 0.2, 0.5, 0.99, 1.0][case / 6 % 6];
            let table: Vec<[u8; 16]> = (0..1u128 << width).map(|at| (at * 77).to_le_bytes()).collect();
            let equal = random.random_range(0..1u32 << width);
            let mut position =
                |at: usize| if at / 700 % 3 == 1 { equal } else { random.random_range(0..1u32 << width) };
            let positions: Vec<u32> = (0..rows).map(&mut position).collect();
            let page = encoded(&positions, width, &mut random);
            let mut wanted = vec![0u64; rows.div_ceil(64)];
            let mut expected = Vec::new();
            for (row, position) in positions.iter().enumerate() {
                if random.random_bool(share) {
                    wanted[row / 64] |= 1 << (row % 64);
                    expected.push(table[*position as usize]);
                }
            }
            let mut found = vec![[0xee; 16]; expected.len()];
            pick(&page, &table, (rows, &wanted), &mut found).map_err(|_| ()).unwrap();
            assert!(found == expected, "case {case}: {rows} rows of {width} bits, {share} wanted");
            let last = positions.iter().max().copied().unwrap_or(0) as usize;
            if share == 1.0 {
                assert!(
                    pick(&page, &table[..last], (rows, &wanted), &mut found).is_err(),
                    "a position beyond the table"
                );
            }
        }
    }
}
