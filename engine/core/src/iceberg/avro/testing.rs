//! Avro bytes written by hand, for tests.

use std::io::Write;

/// Encodes values one after another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    pub(crate) fn long(mut self, value: i64) -> Self {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    pub(crate) fn bytes(self, value: impl AsRef<[u8]>) -> Self {
        let length = value.as_ref().len() as i64;
        self.long(length).raw(value)
    }

    pub(crate) fn raw(mut self, value: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(value.as_ref());
        self
    }
}

pub(crate) const SYNC: [u8; 16] = *b"sixteen byte syn";

/// The header of a file.
pub(crate) fn header(schema: &str, codec: &str) -> Encoder {
    let start = Encoder::default().raw(b"Obj\x01").long(2);
    let metadata = start.bytes("avro.schema").bytes(schema).bytes("avro.codec").bytes(codec);
    metadata.long(0).raw(SYNC)
}

/// A file of one block a list of records.
pub(crate) fn file(schema: &str, codec: &str, blocks: &[&[Encoder]]) -> Vec<u8> {
    let block = |file: Encoder, records: &&[Encoder]| {
        let body: Vec<u8> = records.iter().flat_map(|record| record.0.clone()).collect();
        file.long(records.len() as i64).bytes(compress(codec, &body)).raw(SYNC)
    };
    blocks.iter().fold(header(schema, codec), block).0
}

/// A block's bytes in a codec.
pub(crate) fn compress(codec: &str, body: &[u8]) -> Vec<u8> {
    match codec {
        "deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "snappy" => {
            let mut compressed = snap::raw::Encoder::new().compress_vec(body).unwrap();
            compressed.extend_from_slice(&crc32fast::hash(body).to_be_bytes());
            compressed
        }
        "zstandard" => zstd::stream::encode_all(body, 3).unwrap(),
        _ => body.to_vec(),
    }
}
