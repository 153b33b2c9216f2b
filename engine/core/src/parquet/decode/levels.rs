//! Definition and repetition levels of columns that are nested no deeper than a list.
//!
//! Must not know: values.

use super::Refusal;
use super::bits::Bits;
use super::hybrid::{Run, Runs};
use super::unpack::unpack;

/// Levels of 0 or 1 as bits; how many are 1. Nothing is written to `bits` where all are.
pub fn read_bits(bytes: &[u8], count: usize, bits: &mut Bits) -> Result<usize, Refusal> {
    bits.clear();
    let mut runs = Runs::new(bytes, 1, count)?;
    let mut waiting = 0; // ones that are not written yet
    while let Some(run) = runs.next_run()? {
        match run {
            Run::Same { value: 1, count } if bits.len() == 0 => waiting += count,
            Run::Same { value: value @ (0 | 1), count } => {
                bits.append_run(std::mem::take(&mut waiting), true);
                bits.append_run(count, value == 1);
            }
            Run::Same { value, .. } => return Err(too_high(value)),
            Run::Packed { bytes, count } => {
                bits.append_run(std::mem::take(&mut waiting), true);
                bits.append_packed(bytes, count);
            }
        }
    }
    if bits.len() == 0 {
        return Ok(count);
    }
    match bits.ones() {
        all if all == count => {
            bits.clear();
            Ok(count)
        }
        ones => Ok(ones),
    }
}

/// Levels up to `max` (3 at most), one a byte. Returns whether all are `max`; then nothing is written.
pub fn read_bytes(bytes: &[u8], count: usize, max: u8, levels: &mut Vec<u8>) -> Result<bool, Refusal> {
    levels.clear();
    let width = u32::BITS - u32::from(max).leading_zeros();
    let mut runs = Runs::new(bytes, width, count)?;
    let mut batch = [0u32; 1024];
    while let Some(run) = runs.next_run()? {
        match run {
            Run::Same { value, count: all } if all == count && value == u32::from(max) => return Ok(true),
            Run::Same { value, count } => match u8::try_from(value) {
                Ok(level) if level <= max => levels.resize(levels.len() + count, level),
                _ => return Err(too_high(value)),
            },
            Run::Packed { mut bytes, count } => {
                let mut left = count;
                while left > 0 {
                    let take = left.min(batch.len());
                    let values = batch.get_mut(..take).unwrap_or_default();
                    unpack(bytes, width, values)?;
                    if let Some(high) = values.iter().find(|level| **level > u32::from(max)) {
                        return Err(too_high(*high));
                    }
                    levels.extend(values.iter().map(|level| *level as u8));
                    bytes = bytes.get(take * width as usize / 8..).unwrap_or_default();
                    left -= take;
                }
            }
        }
    }
    Ok(levels.iter().all(|level| *level == max))
}

fn too_high(level: u32) -> Refusal {
    Refusal::damaged(&format!("a level of {level} is higher than the schema allows"))
}
