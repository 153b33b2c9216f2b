//! A whole ORC file, loaded as a data file of a table that has a column of every type. The first byte chooses how.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// The columns of testdata/orc, by the ids that are in those files.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let field = |id: u32, kind: Value| json!({"id": id, "name": format!("c{id}"), "required": false, "type": kind});
    let flat = [
        (1, "long"),
        (2, "int"),
        (3, "boolean"),
        (4, "float"),
        (5, "double"),
        (6, "string"),
        (7, "binary"),
        (8, "date"),
        (9, "timestamp"),
        (10, "timestamptz"),
        (11, "decimal(9, 2)"),
        (12, "decimal(38, 3)"),
        (13, "uuid"),
        (14, "fixed[3]"),
        (15, "time"),
        (25, "int"),
        (26, "int"),
    ];
    let list =
        |id: u32, kind: &str| json!({"type": "list", "element-id": id, "element-required": false, "element": kind});
    let pairs =
        json!({"type": "map", "key-id": 19, "key": "string", "value-id": 20, "value-required": false, "value": "int"});
    let point = json!({"type": "struct", "fields": [field(22, json!("double")), field(23, list(24, "int"))]});
    let nested = [(16, list(17, "string")), (18, pairs), (21, point)];
    let fields = flat.into_iter().map(|(id, name)| field(id, json!(name)));
    let fields: Vec<Value> = fields.chain(nested.into_iter().map(|(id, kind)| field(id, kind))).collect();
    json!({"type": "struct", "schema-id": 0, "fields": fields})
});

fuzz_target!(init: headrace_fuzz::prepare(), |data: &[u8]| {
    if let Some((choice, file)) = data.split_first() {
        headrace_fuzz::load_table(file, &SCHEMA, *choice);
    }
});
