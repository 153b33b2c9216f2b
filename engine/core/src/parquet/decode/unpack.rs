//! Bit-packed integers to 32-bit ones.
//!
//! Four ways to the same values: AVX-512 VBMI (16 values a step), AVX2 and NEON (8), portable. A step loads the bytes that
//! its values lie in, brings each value's bytes to its lane, shifts and masks. The way is chosen once a process. Must not
//! know: where the integers come from.

#![allow(unsafe_code)]

use super::Refusal;

/// Fills `output` from the packed `bytes`, `width` bits each (32 at most), the first one lowest.
pub fn unpack(bytes: &[u8], width: u32, output: &mut [u32]) -> Result<(), Refusal> {
    if width > 32 || bytes.len() < (output.len() * width as usize).div_ceil(8) {
        return Err(Refusal::damaged("a page ends within its packed integers"));
    }
    if width == 0 {
        output.fill(0);
        return Ok(());
    }
    let done = vectors(bytes, width, output);
    // A step is a multiple of 8 values, so the rest begins at a whole byte.
    portable(
        bytes.get(done * width as usize / 8..).unwrap_or_default(),
        width,
        output.get_mut(done..).unwrap_or_default(),
    );
    Ok(())
}

fn portable(bytes: &[u8], width: u32, output: &mut [u32]) {
    let mask = u64::MAX >> (64 - width);
    for (at, value) in output.iter_mut().enumerate() {
        let bit = at * width as usize;
        let start = bit / 8;
        let word = match bytes.get(start..start + 8) {
            Some(word) => word.try_into().map_or(0, u64::from_le_bytes),
            None => {
                let mut last = [0; 8];
                let rest = bytes.get(start..).unwrap_or_default();
                last[..rest.len().min(8)].copy_from_slice(&rest[..rest.len().min(8)]);
                u64::from_le_bytes(last)
            }
        };
        *value = (word >> (bit % 8) & mask) as u32;
    }
}

/// Widths whose values lie in four bytes wherever they begin.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const WIDEST: u32 = 25;

/// How many values from the start were unpacked.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn vectors(_: &[u8], _: u32, _: &mut [u32]) -> usize {
    0
}

#[cfg(target_arch = "aarch64")]
use arm::vectors;
#[cfg(target_arch = "x86_64")]
use x86::vectors;

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::WIDEST;

    /// How many values from the start were unpacked. Every 64-bit ARM has NEON.
    pub fn vectors(bytes: &[u8], width: u32, output: &mut [u32]) -> usize {
        if width > WIDEST {
            return 0;
        }
        let step = width as usize;
        let halves = [Half::new(width, 0), Half::new(width, 4)];
        let mut done = 0;
        for (at, values) in output.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let Some(input) = bytes.get(at * step..at * step + halves[1].start + 16) else { break };
            for (half, values) in halves.iter().zip(values.as_chunks_mut::<4>().0) {
                half.unpack(input, values);
            }
            done += 8;
        }
        done
    }

    /// Four of eight values: the byte where they begin, and where each of them lies behind it.
    struct Half {
        start: usize,
        order: [u8; 16],
        /// To the left, so to the right where negative
        shifts: [i32; 4],
        mask: u32,
    }

    impl Half {
        fn new(width: u32, first: u32) -> Half {
            let (mut order, mut shifts) = ([0; 16], [0; 4]);
            for lane in 0..4u32 {
                let bit = first * width % 8 + lane * width;
                shifts[lane as usize] = -((bit % 8) as i32);
                for byte in 0..4 {
                    order[(lane * 4 + byte) as usize] = (bit / 8 + byte).min(15) as u8;
                }
            }
            Half { start: (first * width / 8) as usize, order, shifts, mask: u32::MAX >> (32 - width) }
        }

        #[inline]
        fn unpack(&self, input: &[u8], values: &mut [u32; 4]) {
            let Some(input) = input.get(self.start..).and_then(|rest| rest.first_chunk::<16>()) else { return };
            // SAFETY: `input` and `order` are 16 bytes, `shifts` four lanes, `values` is 16 bytes.
            unsafe {
                let loaded = vqtbl1q_u8(vld1q_u8(input.as_ptr()), vld1q_u8(self.order.as_ptr()));
                let moved = vshlq_u32(vreinterpretq_u32_u8(loaded), vld1q_s32(self.shifts.as_ptr()));
                vst1q_u32(values.as_mut_ptr(), vandq_u32(moved, vdupq_n_u32(self.mask)));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::WIDEST;

    /// How many values from the start were unpacked.
    pub fn vectors(bytes: &[u8], width: u32, output: &mut [u32]) -> usize {
        if width > WIDEST {
            0
        } else if is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the CPU has what the function is compiled for.
            unsafe { sixteens(bytes, width, output) }
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            unsafe { eights(bytes, width, output) }
        } else {
            0
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn sixteens(bytes: &[u8], width: u32, output: &mut [u32]) -> usize {
        let step = 2 * width as usize;
        let (mut order, mut shifts) = ([0u8; 64], [0u32; 16]);
        for lane in 0..16u32 {
            let bit = lane * width;
            shifts[lane as usize] = bit % 8;
            for byte in 0..4 {
                order[(lane * 4 + byte) as usize] = (bit / 8 + byte) as u8;
            }
        }
        let mask = _mm512_set1_epi32((u32::MAX >> (32 - width)) as i32);
        // SAFETY: both arrays are 64 bytes.
        let (order, shifts) =
            unsafe { (_mm512_loadu_si512(order.as_ptr().cast()), _mm512_loadu_si512(shifts.as_ptr().cast())) };
        let wanted = (1u64 << step) - 1; // the bytes of one step: no more are read
        let mut done = 0;
        for (at, values) in output.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let Some(input) = bytes.get(at * step..(at + 1) * step) else { break };
            // SAFETY: `wanted` has one bit for each byte of `input`; `values` is 64 bytes.
            unsafe {
                let loaded = _mm512_maskz_loadu_epi8(wanted, input.as_ptr().cast());
                let moved = _mm512_srlv_epi32(_mm512_permutexvar_epi8(order, loaded), shifts);
                _mm512_storeu_si512(values.as_mut_ptr().cast(), _mm512_and_si512(moved, mask));
            }
            done += 16;
        }
        done
    }

    #[target_feature(enable = "avx2")]
    fn eights(bytes: &[u8], width: u32, output: &mut [u32]) -> usize {
        let step = width as usize;
        // Each half of a vector is loaded where its four values begin.
        let half = (4 * width / 8) as usize;
        let (mut order, mut shifts) = ([0u8; 32], [0u32; 8]);
        for lane in 0..8u32 {
            let bit = if lane < 4 { lane * width } else { 4 * width % 8 + (lane - 4) * width };
            shifts[lane as usize] = bit % 8;
            for byte in 0..4 {
                order[(lane * 4 + byte) as usize] = (bit / 8 + byte).min(15) as u8;
            }
        }
        let mask = _mm256_set1_epi32((u32::MAX >> (32 - width)) as i32);
        // SAFETY: both arrays are 32 bytes.
        let (order, shifts) =
            unsafe { (_mm256_loadu_si256(order.as_ptr().cast()), _mm256_loadu_si256(shifts.as_ptr().cast())) };
        let mut done = 0;
        for (at, values) in output.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let Some(input) = bytes.get(at * step..at * step + half + 16) else { break };
            // SAFETY: `input` is half + 16 bytes, `values` 32.
            unsafe {
                let low = _mm_loadu_si128(input.as_ptr().cast());
                let high = _mm_loadu_si128(input.as_ptr().add(half).cast());
                let loaded = _mm256_set_m128i(high, low);
                let moved = _mm256_srlv_epi32(_mm256_shuffle_epi8(loaded, order), shifts);
                _mm256_storeu_si256(values.as_mut_ptr().cast(), _mm256_and_si256(moved, mask));
            }
            done += 8;
        }
        done
    }

    #[cfg(test)]
    pub fn each(bytes: &[u8], width: u32, output: &mut [u32]) -> Vec<usize> {
        let mut done = Vec::new();
        if width <= WIDEST && is_x86_feature_detected!("avx2") {
            // SAFETY: just asked.
            done.push(unsafe { eights(bytes, width, output) });
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(values: &[u32], width: u32) -> Vec<u8> {
        let mut bytes = vec![0u8; (values.len() * width as usize).div_ceil(8)];
        for (at, value) in values.iter().enumerate() {
            for bit in 0..width as usize {
                let place = at * width as usize + bit;
                bytes[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
            }
        }
        bytes
    }

    #[test]
    fn every_width_and_length_comes_back() {
        for width in 0..=32u32 {
            for count in [0usize, 1, 7, 8, 15, 16, 31, 64, 100, 257, 1024] {
                let mask = if width == 0 { 0 } else { u32::MAX >> (32 - width) };
                let values: Vec<u32> =
                    (0..count as u32).map(|at| at.wrapping_mul(2_654_435_761).rotate_left(7) & mask).collect();
                let bytes = packed(&values, width);
                let mut output = vec![u32::MAX; count];
                unpack(&bytes, width, &mut output).map_err(|_| ()).unwrap();
                assert_eq!(output, values, "width {width}, {count} values");
                #[cfg(target_arch = "x86_64")]
                if width > 0 {
                    let mut output = vec![u32::MAX; count];
                    for done in x86::each(&bytes, width, &mut output) {
                        assert_eq!(output[..done], values[..done], "eights, width {width}, {count} values");
                    }
                }
                if !bytes.is_empty() {
                    assert!(unpack(&bytes[..bytes.len() - 1], width, &mut output).is_err());
                }
            }
        }
    }
}
