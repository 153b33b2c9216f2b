//! A whole Parquet file, loaded: page headers, levels, values of every encoding, codecs. The first byte chooses how.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: headrace_fuzz::prepare(), |data: &[u8]| {
    if let Some((choice, file)) = data.split_first() {
        headrace_fuzz::load(file, *choice);
    }
});
