//! DLPack capsules: numbers lent to PyTorch, JAX, CuPy and NumPy without a copy.
//!
//! Spec: <https://dmlc.github.io/dlpack/latest/c_api.html>. Consumers of DLPack 1 get a versioned capsule with the
//! read-only flag (a frame is immutable); older ones the legacy capsule, which cannot say so. Must not know: columns.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::numpy::{address, typestr};

const LEGACY: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const CPU: i32 = 1;
const FLAG_READ_ONLY: u64 = 1;
const CODE_INT: u8 = 0;
const CODE_UINT: u8 = 1;
const CODE_FLOAT: u8 = 2;
const CODE_BOOL: u8 = 6;

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Legacy {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Legacy)>,
}

#[repr(C)]
struct Versioned {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Versioned)>,
    flags: u64,
    tensor: DlTensor,
}

/// What a capsule keeps alive until its consumer has done with it.
struct Owner<T> {
    managed: T,
    _shape: Box<[i64]>,
    _strides: Box<[i64]>,
    _array: ArrayRef,
}

/// `array`'s values as a tensor of `shape`. `boolean`: the bytes are truth values.
pub fn capsule<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    shape: &[usize],
    boolean: bool,
    versioned: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let (code, bits) = kind(array.data_type(), boolean)
        .ok_or_else(|| PyBufferError::new_err(format!("DLPack has no type for {}", array.data_type())))?;
    let count = shape.iter().try_fold(1usize, |product, each| product.checked_mul(*each));
    if count != Some(array.len()) {
        return Err(PyBufferError::new_err(format!("{} values as a tensor of shape {shape:?}", array.len())));
    }
    let address = typestr(array.data_type()).and_then(|(_, width)| address(array.as_ref(), width));
    let address = address.ok_or_else(|| PyBufferError::new_err("no values"))?;
    let mut shape: Box<[i64]> = shape.iter().map(|each| *each as i64).collect();
    let mut strides = vec![1i64; shape.len()].into_boxed_slice();
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at].saturating_mul(shape[at].max(1));
    }
    let tensor = DlTensor {
        data: address as *mut c_void,
        device_type: CPU,
        device_id: 0,
        ndim: shape.len() as i32,
        code,
        bits,
        lanes: 1,
        shape: shape.as_mut_ptr(),
        strides: strides.as_mut_ptr(),
        byte_offset: 0,
    };
    let array = ArrayRef::clone(array);
    if versioned {
        let managed = Versioned {
            major: 1,
            minor: 0,
            context: std::ptr::null_mut(),
            deleter: Some(delete_versioned),
            flags: FLAG_READ_ONLY,
            tensor,
        };
        let owner = Box::into_raw(Box::new(Owner { managed, _shape: shape, _strides: strides, _array: array }));
        // SAFETY: owner was just leaked and is live; no one else has it yet.
        let managed = unsafe {
            (*owner).managed.context = owner.cast();
            &raw mut (*owner).managed
        };
        return new_capsule(py, managed.cast(), VERSIONED, drop_versioned);
    }
    let managed = Legacy { tensor, context: std::ptr::null_mut(), deleter: Some(delete_legacy) };
    let owner = Box::into_raw(Box::new(Owner { managed, _shape: shape, _strides: strides, _array: array }));
    // SAFETY: as above.
    let managed = unsafe {
        (*owner).managed.context = owner.cast();
        &raw mut (*owner).managed
    };
    new_capsule(py, managed.cast(), LEGACY, drop_legacy)
}

fn kind(data_type: &DataType, boolean: bool) -> Option<(u8, u8)> {
    Some(match data_type {
        DataType::UInt8 if boolean => (CODE_BOOL, 8),
        DataType::Int8 => (CODE_INT, 8),
        DataType::Int16 => (CODE_INT, 16),
        DataType::Int32 => (CODE_INT, 32),
        DataType::Int64 => (CODE_INT, 64),
        DataType::UInt8 => (CODE_UINT, 8),
        DataType::UInt16 => (CODE_UINT, 16),
        DataType::UInt32 => (CODE_UINT, 32),
        DataType::UInt64 => (CODE_UINT, 64),
        DataType::Float16 => (CODE_FLOAT, 16),
        DataType::Float32 => (CODE_FLOAT, 32),
        DataType::Float64 => (CODE_FLOAT, 64),
        _ => return None,
    })
}

fn new_capsule<'py>(
    py: Python<'py>,
    managed: *mut c_void,
    name: &'static CStr,
    destructor: unsafe extern "C" fn(*mut ffi::PyObject),
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: managed is live until its deleter runs, the name is static, and PyCapsule_New gives a new reference or
    // null with an exception set.
    unsafe {
        let capsule = ffi::PyCapsule_New(managed, name.as_ptr(), Some(destructor));
        Bound::from_owned_ptr_or_err(py, capsule)
    }
}

/// A capsule that no one consumed frees its tensor; a consumer has renamed it and frees it itself.
unsafe extern "C" fn drop_legacy(capsule: *mut ffi::PyObject) {
    // SAFETY: called by Python with the capsule being destroyed; the name is checked before the pointer is used.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, LEGACY.as_ptr()) == 1 {
            delete_legacy(ffi::PyCapsule_GetPointer(capsule, LEGACY.as_ptr()).cast());
        }
    }
}

unsafe extern "C" fn drop_versioned(capsule: *mut ffi::PyObject) {
    // SAFETY: as above.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, VERSIONED.as_ptr()) == 1 {
            delete_versioned(ffi::PyCapsule_GetPointer(capsule, VERSIONED.as_ptr()).cast());
        }
    }
}

unsafe extern "C" fn delete_legacy(managed: *mut Legacy) {
    // SAFETY: context is the Owner leaked in `capsule`; whoever holds the tensor calls its deleter once.
    drop(unsafe { Box::from_raw((*managed).context.cast::<Owner<Legacy>>()) });
}

unsafe extern "C" fn delete_versioned(managed: *mut Versioned) {
    // SAFETY: as above.
    drop(unsafe { Box::from_raw((*managed).context.cast::<Owner<Versioned>>()) });
}
