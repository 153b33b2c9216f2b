//! `headrace._engine`: the thin binding. One gate (GIL, Ctrl-C, errors), capsules, frozen classes; no logic of its own.

use pyo3::prelude::*;

mod batches;
mod buffer;
mod capsule;
mod column;
mod dlpack;
mod errors;
mod files;
mod frame;
mod gate;
mod load;
mod maintenance;
mod numpy;
mod pylist;
mod pytime;
mod store;
mod write;
mod writing;

/// AddressSanitizer watches the system's allocator alone.
#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static HEAP: headrace_core::arena::Heap = headrace_core::arena::Heap;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let at_exit = wrap_pyfunction!(gate::tidy_up, module)?;
    module.py().import("atexit")?.call_method1("register", (at_exit,))?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<store::Store>()?;
    module.add_class::<buffer::Buffer>()?;
    module.add_class::<files::FileList>()?;
    module.add_class::<frame::Frame>()?;
    module.add_class::<column::Column>()?;
    module.add_class::<batches::Batches>()?;
    module.add_class::<writing::Keys>()?;
    module.add_class::<maintenance::Listing>()?;
    module.add_function(wrap_pyfunction!(store::http_request, module)?)?;
    module.add_function(wrap_pyfunction!(store::aws_credentials, module)?)?;
    module.add_function(wrap_pyfunction!(files::plan, module)?)?;
    module.add_function(wrap_pyfunction!(files::changes, module)?)?;
    module.add_function(wrap_pyfunction!(load::load, module)?)?;
    module.add_function(wrap_pyfunction!(load::read_parquet, module)?)?;
    module.add_function(wrap_pyfunction!(write::write, module)?)?;
    module.add_function(wrap_pyfunction!(batches::batches, module)?)?;
    module.add_function(wrap_pyfunction!(batches::estimate, module)?)?;
    module.add_function(wrap_pyfunction!(load::parquet_schema, module)?)?;
    module.add_function(wrap_pyfunction!(load::release_memory, module)?)?;
    module.add_function(wrap_pyfunction!(load::kept_memory, module)?)?;
    module.add_function(wrap_pyfunction!(load::kept_manifests, module)?)?;
    module.add_function(wrap_pyfunction!(writing::write_manifests, module)?)?;
    module.add_function(wrap_pyfunction!(writing::arrow_schema, module)?)?;
    module.add_function(wrap_pyfunction!(writing::list_manifests, module)?)?;
    module.add_function(wrap_pyfunction!(writing::list_partitions, module)?)?;
    module.add_function(wrap_pyfunction!(writing::rewrite_manifests, module)?)?;
    module.add_function(wrap_pyfunction!(writing::write_row_deletes, module)?)?;
    module.add_function(wrap_pyfunction!(writing::write_manifest_list, module)?)?;
    module.add_function(wrap_pyfunction!(maintenance::remove_expired, module)?)?;
    module.add_function(wrap_pyfunction!(maintenance::cluster_manifests, module)?)?;
    module.add_function(wrap_pyfunction!(maintenance::pack_files, module)?)?;
    Ok(())
}
