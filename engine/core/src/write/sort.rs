//! The rows of a partition in the table's order.
//!
//! Must not know: files. Neighbour: `keys`, whose values it orders.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryViewArray, Decimal128Array, Float64Array, Int64Array, RecordBatch};
use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};

use crate::error::{Error, Kind, Result};
use crate::iceberg::scalar::Scalar;
use crate::iceberg::transforms::Transform;
use crate::write::conform::Conform;
use crate::write::fanout::name_of;
use crate::write::keys::{Place, Values};
use crate::write::request::{SortField, SortOrder};
use crate::write::rows::Rows;

/// `rows` in this order; as they are where they have it already.
pub(crate) fn sorted(frame: &RecordBatch, conform: &Conform, order: &SortOrder, rows: Rows) -> Result<Rows> {
    let fields = order.fields.iter().filter(|field| field.transform != Transform::Void);
    let columns = fields.map(|field| column(frame, conform, field, &rows)).collect::<Result<Vec<_>>>()?;
    if columns.is_empty() || rows.len() < 2 {
        return Ok(rows);
    }
    let sorted = lexsort_to_indices(&columns, None);
    let sorted = sorted.map_err(|e| Error::new(Kind::Unsupported, format!("the table's sort order: {e}")))?;
    match sorted.values().iter().enumerate().all(|(at, position)| at == *position as usize) {
        true => Ok(rows),
        false => Ok(rows.ordered(&sorted)),
    }
}

fn column(frame: &RecordBatch, conform: &Conform, field: &SortField, rows: &Rows) -> Result<SortColumn> {
    let fields: Vec<_> = conform.columns.iter().map(|column| column.field.clone()).collect();
    let place = Place::find(&fields, field.source).ok_or_else(|| {
        Error::new(Kind::InvalidData, format!("the sort order names field {}, which is not there", field.source))
    })?;
    let column = &conform.columns[place.column];
    let values = column.source().map(|at| rows.of(frame.column(at))).transpose()?;
    let fitted = column.fit(values.as_ref(), rows.len(), |at| rows.row(at))?;
    let values = Values::new(&place.of(&fitted)?, &place.field_type)?;
    let values = match field.transform {
        Transform::Identity => plain(values),
        _ => image(&values, field, &place)?,
    };
    let options = SortOptions { descending: field.descending, nulls_first: field.nulls_first };
    Ok(SortColumn { values, options: Some(options) })
}

fn plain(values: Values) -> ArrayRef {
    match values {
        Values::Integers(array) => Arc::new(array),
        Values::Floats(array) => Arc::new(array),
        Values::Decimals(array) => Arc::new(array),
        Values::Text(array) => Arc::new(array),
        Values::Bytes(array) => Arc::new(array),
        Values::Fixed(array) => Arc::new(array),
    }
}

fn image(values: &Values, field: &SortField, place: &Place) -> Result<ArrayRef> {
    let images = (0..values.len()).map(|row| {
        let image = |scalar| {
            field.transform.apply(scalar, &place.field_type).ok_or_else(|| {
                let (transform, name) = (name_of(&field.transform), &place.name);
                Error::new(Kind::TypeMismatch, format!("the sort order takes {transform} of column {name:?}"))
            })
        };
        values.get(row).map(image).transpose()
    });
    let images = images.collect::<Result<Vec<Option<Scalar>>>>()?;
    let some = |pick: fn(&Scalar) -> bool| images.iter().flatten().next().is_some_and(pick);
    let images = images.iter();
    Ok(match () {
        () if some(|value| matches!(value, Scalar::Bytes(_))) => {
            Arc::new(BinaryViewArray::from_iter(images.map(|value| match value {
                Some(Scalar::Bytes(bytes)) => Some(*bytes),
                _ => None,
            })))
        }
        () if some(|value| matches!(value, Scalar::Decimal(_))) => {
            Arc::new(Decimal128Array::from_iter(images.map(|value| match value {
                Some(Scalar::Decimal(number)) => Some(*number),
                _ => None,
            })))
        }
        () if some(|value| matches!(value, Scalar::Float(_))) => {
            Arc::new(Float64Array::from_iter(images.map(|value| match value {
                Some(Scalar::Float(number)) => Some(*number),
                _ => None,
            })))
        }
        () => Arc::new(Int64Array::from_iter(images.map(|value| match value {
            Some(Scalar::Integer(number)) => Some(*number),
            _ => None,
        }))),
    })
}
