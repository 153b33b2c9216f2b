//! Metadata as JSON: schemas, filters, requests for plans and loads; and file lists as Arrow IPC. The first byte chooses.

#![no_main]

use headrace_core::iceberg::files::FileList;
use headrace_core::iceberg::plan::PlanRequest;
use headrace_core::iceberg::predicate::Predicate;
use headrace_core::iceberg::schema::Schema;
use headrace_core::load::{FileTask, LoadRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: headrace_fuzz::prepare(), |data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    if choice % 5 == 0 {
        if let Ok(list) = FileList::from_bytes(rest) {
            let _ = FileTask::of_list(&list);
        }
        return;
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match choice % 5 {
        1 => {
            if let Ok(schema) = Schema::from_json(text) {
                let _ = schema.to_arrow();
            }
        }
        2 => {
            if let Ok(filter) = Predicate::from_json(text) {
                let _ = (filter.leaves(), filter.fields());
            }
        }
        3 => {
            let _ = PlanRequest::from_json(text);
        }
        _ => {
            let _ = LoadRequest::from_json(text);
        }
    }
});
