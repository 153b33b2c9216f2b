//! Deletion vectors: the blob of a Puffin file. The first two bytes are the count that a manifest would give.

#![no_main]

use headrace_core::iceberg::deletes::vector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((count, blob)) = data.split_first_chunk::<2>() else { return };
    let count = u64::from(u16::from_le_bytes(*count));
    if let Ok(found) = vector::positions(blob, count) {
        assert_eq!(found.iter().count() as u64, count);
        let again = vector::blob(&found).and_then(|blob| vector::positions(&blob, count));
        assert_eq!(again.ok(), Some(found));
    }
    // Mutations hardly ever keep a checksum: the bitmap is tried under one that is right.
    let framed = vector::frame(blob);
    if let Ok(found) = vector::positions(&framed, count) {
        assert_eq!(found.iter().count() as u64, count);
        let again = vector::blob(&found).and_then(|blob| vector::positions(&blob, count));
        assert_eq!(again.ok(), Some(found));
    }
});
