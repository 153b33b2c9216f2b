//! The hybrid of run lengths and bit packing: dictionary positions, levels, booleans.
//!
//! Format: parquet-format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid". Must not know: what values mean.

use super::Refusal;

/// Consecutive values.
pub enum Run<'a> {
    /// The same value, so often
    Same {
        /// The value
        value: u32,
        /// How often
        count: usize,
    },
    /// Bit-packed values
    Packed {
        /// `count` values of the stream's width, and what the last group of eight has beyond them
        bytes: &'a [u8],
        /// How many count
        count: usize,
    },
}

/// The runs of a stream of known length.
pub struct Runs<'a> {
    bytes: &'a [u8],
    width: u32,
    left: usize,
}

impl<'a> Runs<'a> {
    /// `count` values of `width` bits, 32 at most.
    pub fn new(bytes: &'a [u8], width: u32, count: usize) -> Result<Runs<'a>, Refusal> {
        match width {
            0..=32 => Ok(Runs { bytes, width, left: count }),
            _ => Err(Refusal::damaged(&format!("a bit width of {width}"))),
        }
    }

    /// Dictionary positions: the width is the first byte.
    pub fn positions(bytes: &'a [u8], count: usize) -> Result<Runs<'a>, Refusal> {
        match bytes.split_first() {
            Some((width, rest)) => Runs::new(rest, u32::from(*width), count),
            None if count == 0 => Runs::new(bytes, 0, 0),
            None => Err(Refusal::damaged("a page of dictionary positions without their width")),
        }
    }

    /// Bits of a value.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The next run; None after the last value.
    pub fn next_run(&mut self) -> Result<Option<Run<'a>>, Refusal> {
        while self.left > 0 {
            let (header, rest) = varint(self.bytes)?;
            let width = self.width as usize;
            if header & 1 == 1 {
                let groups = usize::try_from(header >> 1).map_err(|_| ended())?;
                let count = groups.saturating_mul(8).min(self.left);
                let needed = (count * width).div_ceil(8);
                // The last group may be cut short where nothing but padding is missing.
                let stored = groups.saturating_mul(width).min(rest.len());
                if needed > stored {
                    return Err(ended());
                }
                let (bytes, rest) = rest.split_at_checked(stored).ok_or_else(ended)?;
                self.bytes = rest;
                self.left -= count;
                if count > 0 {
                    return Ok(Some(Run::Packed { bytes, count }));
                }
            } else {
                let (bytes, rest) = rest.split_at_checked(width.div_ceil(8)).ok_or_else(ended)?;
                let mut value = [0; 4];
                value[..bytes.len()].copy_from_slice(bytes);
                let count = usize::try_from(header >> 1).map_err(|_| ended())?.min(self.left);
                self.bytes = rest;
                self.left -= count;
                if count > 0 {
                    return Ok(Some(Run::Same { value: u32::from_le_bytes(value), count }));
                }
            }
            if self.bytes.is_empty() && self.left > 0 {
                return Err(ended());
            }
        }
        Ok(None)
    }
}

/// A number in groups of seven bits, and what follows it.
pub fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), Refusal> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at).min(63);
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(ended())
}

fn ended() -> Refusal {
    Refusal::damaged("a page ends within its run lengths")
}

/// All values, one by one.
pub fn collect(mut runs: Runs<'_>, mut out: &mut [u32]) -> Result<(), Refusal> {
    let width = runs.width();
    while let Some(run) = runs.next_run()? {
        let (Run::Same { count, .. } | Run::Packed { count, .. }) = run;
        let (now, later) = out.split_at_mut_checked(count).ok_or_else(ended)?;
        match run {
            Run::Same { value, .. } => now.fill(value),
            Run::Packed { bytes, .. } => super::unpack::unpack(bytes, width, now)?,
        }
        out = later;
    }
    Ok(())
}
