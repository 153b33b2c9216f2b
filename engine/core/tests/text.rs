//! Text that is no UTF-8 is an error whatever made the column text: the crate's reader checks columns annotated UTF8
//! only, and everyone after us relies on the check.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use headrace_core::error::Kind;
use headrace_core::iceberg::predicate::Predicate;
use parquet::arrow::encode_arrow_schema;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use common::{Folder, load_parquet, load_table, task};

const ENCODINGS: [Option<Encoding>; 4] = [
    None, // a dictionary
    Some(Encoding::PLAIN),
    Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
    Some(Encoding::DELTA_BYTE_ARRAY),
];

/// A file of one column of byte arrays.
fn file(declared: &str, embedded: Option<&Schema>, encoding: Option<Encoding>, values: &[&[u8]]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {declared}; }}")).unwrap());
    let arrow = embedded.map(|schema| vec![KeyValue::new("ARROW:schema".into(), encode_arrow_schema(schema))]);
    let mut properties = WriterProperties::builder().set_key_value_metadata(arrow);
    if let Some(encoding) = encoding {
        properties = properties.set_dictionary_enabled(false).set_encoding(encoding);
    }
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<ByteArray> = values.iter().map(|value| ByteArray::from(value.to_vec())).collect();
    column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// Every way to wrong text: within a value, cut at its end, alone, and only together right.
const WRONG: [&[&[u8]]; 4] = [
    &[b"fine", b"a long text with \xff in the middle of it"],
    &[b"fine", b"cut \xe2\x82"],
    &[b"\x80"],
    &[b"\xe2\x82", b"\xac and more of it"],
];

/// Columns that Parquet itself says are text.
const ANNOTATED: [&str; 2] = ["binary a (UTF8)", "binary a (JSON)"];

/// Loads wrong text, as a file's and as a table's; what is loaded all the same.
fn let_through(decoder: &str, kinds: &[&str], embedded: Option<&Schema>) -> Vec<String> {
    let folder = Folder::new("text");
    let table = json!({"type": "struct", "fields": [{"id": 1, "name": "a", "required": false, "type": "string"}]});
    let mut found = Vec::new();
    for declared in kinds {
        for encoding in ENCODINGS {
            for (at, values) in WRONG.iter().enumerate() {
                let location = folder.put("t", &file(&format!("required {declared}"), embedded, encoding, values));
                let options = |strings: &str| json!({"decoder": decoder, "strings": strings, "schema": table});
                for loaded in [
                    load_parquet(vec![location.clone()], &options("view"), Predicate::True),
                    load_parquet(vec![location.clone()], &options("large_string"), Predicate::True),
                    load_table(vec![task(location)], &options("view"), None),
                ] {
                    match loaded {
                        Ok(_) => found.push(format!("{declared}, {encoding:?}, wrong text {at}")),
                        Err(error) => {
                            assert!(error.kind() == Kind::ParquetDecoding || error.kind() == Kind::TypeMismatch)
                        }
                    }
                }
            }
        }
    }
    found
}

#[test]
fn wrong_text_is_an_error_to_the_direct_decoder() {
    let found = let_through("direct", &ANNOTATED, None);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn wrong_text_is_an_error_to_the_reference() {
    let found = let_through("reference", &ANNOTATED, None);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn wrong_text_is_an_error_where_only_the_embedded_schema_says_text() {
    let text = Schema::new(vec![Field::new("a", DataType::Utf8, false)]);
    for decoder in ["direct", "reference"] {
        let found = let_through(decoder, &["binary a"], Some(&text));
        assert!(found.is_empty(), "{decoder}: {found:#?}");
    }
}

#[test]
fn right_text_stays() {
    let folder = Folder::new("text");
    let values: [&[u8]; 3] = ["€".as_bytes(), b"", "a text of 𝄞 that is long enough".as_bytes()];
    for declared in ["required binary a (UTF8)", "required binary a (JSON)"] {
        for encoding in ENCODINGS {
            for decoder in ["direct", "reference"] {
                let location = folder.put("t", &file(declared, None, encoding, &values));
                let loaded = load_parquet(vec![location], &json!({"decoder": decoder}), Predicate::True).unwrap();
                assert_eq!(common::shown(loaded.column(0)), ["€", "", "a text of 𝄞 that is long enough"]);
            }
        }
    }
}
