//! What the pages of a column chunk hold, page by page, as bounds: the column index.
//!
//! Format: parquet.thrift, `ColumnIndex`. Bounds may be cut short; what they prove is settled in
//! [`crate::iceberg::bounds`]. An index that does not have what its pages need proves nothing. Must not know: where pages
//! are ([`super::index`]), how indexes are fetched.

use parquet::basic::ColumnOrder;
use parquet::schema::types::ColumnDescriptor;

use crate::error::Result;
use crate::iceberg::bounds::Bounds;
use crate::iceberg::predicate::Leaf;
use crate::parquet::pruning::{is_ordered, value};
use crate::parquet::thrift::{Cursor, wire};

/// The lists of a column index, an element a page.
#[derive(Default)]
struct Index<'a> {
    null_pages: Vec<bool>,
    lower: Vec<&'a [u8]>,
    upper: Vec<&'a [u8]>,
    null_counts: Option<Vec<i64>>,
}

/// Bounds of every page, in the units of the leaf's type; `rows`: how many each page has. None where the index cannot be
/// trusted.
pub fn page_bounds(
    index: &[u8],
    leaf: &Leaf,
    column: &ColumnDescriptor,
    order: ColumnOrder,
    rows: &[usize],
) -> Option<Vec<Bounds>> {
    let index = Index::read(index).ok()?;
    let pages = rows.len();
    let counted = index.null_counts.as_ref().is_none_or(|counts| counts.len() == pages);
    if [index.null_pages.len(), index.lower.len(), index.upper.len()] != [pages; 3] || !counted {
        return None;
    }
    let trusted = is_ordered(false, column, order);
    let bounds = rows.iter().enumerate().map(|(page, rows)| {
        let rows = *rows as u64;
        if index.null_pages[page] {
            return Bounds::all_null(rows);
        }
        let bound = |values: &[&[u8]], low| {
            if trusted { value(&leaf.field_type, values[page], column, low) } else { None }
        };
        let nulls = index.null_counts.as_ref().and_then(|counts| u64::try_from(counts[page]).ok());
        Bounds {
            lower: bound(&index.lower, true),
            upper: bound(&index.upper, false),
            null_count: if column.max_def_level() == 0 { Some(0) } else { nulls },
            nan_count: None,
            value_count: Some(rows),
        }
    });
    Some(bounds.collect())
}

impl<'a> Index<'a> {
    fn read(bytes: &'a [u8]) -> Result<Index<'a>> {
        let mut cursor = Cursor::new(bytes);
        let (mut index, mut last) = (Index::default(), 0);
        while let Some(header) = cursor.header(&mut last)? {
            match (header.id, header.wire) {
                (1, wire::LIST) => {
                    let (_, count) = cursor.list()?;
                    for _ in 0..count {
                        index.null_pages.push(cursor.byte()? == wire::TRUE);
                    }
                }
                (2, wire::LIST) => index.lower = binaries(&mut cursor)?,
                (3, wire::LIST) => index.upper = binaries(&mut cursor)?,
                (5, wire::LIST) => {
                    let (_, count) = cursor.list()?;
                    index.null_counts = Some((0..count).map(|_| cursor.signed()).collect::<Result<_>>()?);
                }
                (_, wire) => cursor.skip(wire, 0)?,
            }
        }
        Ok(index)
    }
}

fn binaries<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<&'a [u8]>> {
    let (_, count) = cursor.list()?;
    (0..count).map(|_| cursor.binary()).collect()
}
