//! Avro: a manifest list or a manifest, planned with a filter. The first byte chooses which, the version and the filter.

#![no_main]

use headrace_core::iceberg::plan::{PlanRequest, plan};
use headrace_core::iceberg::predicate::Predicate;
use headrace_core::load::FileTask;
use headrace_core::runtime::Cancel;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const REQUESTS: [&str; 2] = [
    include_str!("../../core/testdata/iceberg/evolved_v1/request.json"),
    include_str!("../../core/testdata/iceberg/evolved_v2/request.json"),
];

fuzz_target!(init: headrace_fuzz::prepare(), |data: &[u8]| {
    let Some((choice, file)) = data.split_first() else { return };
    let (Some(location), Some(store)) = (headrace_fuzz::put(file), headrace_fuzz::store()) else { return };
    let Ok(mut request) = serde_json::from_str::<Value>(REQUESTS[usize::from(choice & 1)]) else { return };
    let is_list = choice & 2 != 0;
    request["manifest_list"] = if is_list { json!(location) } else { Value::Null };
    request["manifests"] = if is_list { json!([]) } else { json!([location]) };
    let filter = match (choice >> 2) & 3 {
        0 => json!({"op": "true"}),
        1 => json!({"op": "ge", "field": 1, "type": "long", "values": [150]}),
        2 => json!({"op": "eq", "field": 2, "type": "string", "values": ["2026-01-01"]}),
        _ => json!({"op": "in", "field": 1, "type": "long", "values": [3, 1, 2]}),
    };
    let (Ok(request), Ok(filter)) =
        (PlanRequest::from_json(&request.to_string()), Predicate::from_json(&filter.to_string()))
    else {
        return;
    };
    if let Some(Ok((files, report))) = headrace_fuzz::wait(plan(store, &request, &filter, &Cancel::default())) {
        let _ = (FileTask::of_list(&files), report.to_json());
    }
});
