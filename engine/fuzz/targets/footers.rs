//! A Parquet footer, the input being its Thrift alone: schema, row groups, statistics; then a load of what it promises.

#![no_main]

use headrace_core::load::schema_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: headrace_fuzz::prepare(), |data: &[u8]| {
    let Ok(length) = u32::try_from(data.len()) else { return };
    let file = [b"PAR1".as_slice(), &[0; 64], data, &length.to_le_bytes(), b"PAR1"].concat();
    let (Some(location), Some(store)) = (headrace_fuzz::put(&file), headrace_fuzz::store()) else { return };
    if let Some(Ok(schema)) = headrace_fuzz::wait(schema_of(store, &location)) {
        let _ = schema.to_iceberg_json();
        headrace_fuzz::load(&file, 2);
    }
});
