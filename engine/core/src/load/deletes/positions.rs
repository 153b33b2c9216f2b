//! Position delete files and deletion vectors -> deleted positions of each data file, as bitmaps.
//!
//! Of a position delete file only what is about this load's data files is kept: row groups of others are passed over by
//! their statistics. Must not know: what positions are used for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use futures::FutureExt;
use futures::future::BoxFuture;
use roaring::RoaringTreemap;

use super::{Needed, damaged, id_of, task};
use crate::error::Result;
use crate::fetch::PinnedObject;
use crate::iceberg::deletes::{PATH_ID, POSITION_ID, vector};
use crate::iceberg::predicate::{Leaf, Literal, Op, Predicate};
use crate::iceberg::schema::{NestedField, Type};
use crate::load::leaves::{Wanted, chunks, leaf};
use crate::load::open::Group;
use crate::load::{Context, open};

/// Deleted positions by delete file and data file.
pub(super) type Found = Vec<((usize, Arc<str>), RoaringTreemap)>;
type Reading = BoxFuture<'static, Result<Found>>;

/// Data files up to which a delete file's statistics are tested for each; beyond, for their range.
const MOST_NAMED: usize = 200;

/// Reads vectors, those of one Puffin file together.
pub(super) fn of_vectors(context: &Arc<Context>, vectors: Vec<Needed>) -> Vec<Reading> {
    let mut by_file: BTreeMap<String, Vec<Needed>> = BTreeMap::new();
    for each in vectors {
        by_file.entry(each.file.location.clone()).or_default().push(each);
    }
    let reading = |(location, vectors): (String, Vec<Needed>)| {
        let context = Arc::clone(context);
        async move { read_vectors(&context, &location, vectors).await.map_err(|e| e.at(location)) }.boxed()
    };
    by_file.into_iter().map(reading).collect()
}

async fn read_vectors(context: &Arc<Context>, location: &str, vectors: Vec<Needed>) -> Result<Found> {
    context.cancel.check()?;
    let size = vectors.first().map(|each| each.file.file_size).filter(|size| *size > 0);
    for each in &vectors {
        let range = &each.file.range;
        let length = range.end.saturating_sub(range.start);
        if length > vector::LONGEST_BYTES || size.is_some_and(|size| range.end > size) {
            let message = format!("a deletion vector at bytes {range:?} of a file of {size:?}");
            return Err(damaged(message).bytes(range.clone()));
        }
    }
    let object = PinnedObject::new(context.store.clone(), location, size).with_fetcher(context.fetcher.clone());
    let ranges: Vec<_> = vectors.iter().map(|each| each.file.range.clone()).collect();
    let blobs = object.read_ranges(&ranges).await?;
    let counted = Arc::clone(context);
    let parse = move || {
        let mut found = Found::new();
        for (each, blob) in vectors.iter().zip(blobs) {
            let positions = vector::positions(&blob, each.file.record_count);
            let positions = positions.map_err(|e| e.bytes(each.file.range.clone()))?;
            counted.metrics.deletes.records.add(positions.len());
            found.extend(each.by.iter().map(|path| ((id_of(&each.file), Arc::clone(path)), positions.clone())));
        }
        Ok(found)
    };
    context.compute(parse).await
}

/// Reads what a position delete file says of the data files that need it.
pub(super) fn of_file(context: &Arc<Context>, needed: Needed) -> Reading {
    let context = Arc::clone(context);
    async move {
        let location = needed.file.location.clone();
        read_file(&context, needed).await.map_err(|e| e.at(location))
    }
    .boxed()
}

async fn read_file(context: &Arc<Context>, needed: Needed) -> Result<Found> {
    let reader = context.for_deletes(&fields(), about(&needed))?;
    let mut by_path: HashMap<Arc<str>, RoaringTreemap> =
        needed.by.iter().map(|path| (Arc::clone(path), RoaringTreemap::new())).collect();
    let wanted = [Wanted::new(PATH_ID, DataType::Utf8View), Wanted::new(POSITION_ID, DataType::Int64)];
    let groups = open::open(&reader, &[task(&needed.file)]).await?;
    let mut matched = 0;
    for group in groups {
        reader.cancel.check()?;
        if let Some(missing) = [PATH_ID, POSITION_ID].into_iter().find(|id| leaf(&group.file, *id).is_none()) {
            return Err(damaged(format!("a position delete file without the column of field id {missing}")));
        }
        let (chunks, reading, wanted) = (chunks(&group, &wanted).await?, Arc::clone(&reader), wanted.clone());
        let add = move || {
            let values = |column: &Wanted| column.values(&reading, &group, &chunks);
            let matched = add(&values(&wanted[0])?, &values(&wanted[1])?, &mut by_path, &group)?;
            Ok((by_path, matched))
        };
        let added;
        (by_path, added) = context.decode(add).await?;
        matched += added;
    }
    let all = needed.file.record_count;
    context.metrics.deletes.records.add(all);
    context.metrics.deletes.unmatched_positions.add(all.saturating_sub(matched));
    let id = id_of(&needed.file);
    let found = by_path.into_iter().filter(|(_, positions)| !positions.is_empty());
    Ok(found.map(|(path, positions)| ((id, path), positions)).collect())
}

/// Adds a row group's positions; how many are about the wanted data files.
fn add(
    paths: &ArrayRef,
    positions: &ArrayRef,
    by_path: &mut HashMap<Arc<str>, RoaringTreemap>,
    group: &Group,
) -> Result<u64> {
    if paths.null_count() + positions.null_count() > 0 {
        return Err(damaged(format!("null in a position delete, row group {}", group.index)));
    }
    let (paths, positions) = (paths.as_string_view(), positions.as_primitive::<Int64Type>().values());
    if let Some(negative) = positions.iter().find(|position| **position < 0) {
        return Err(damaged(format!("a position delete of row {negative}, row group {}", group.index)));
    }
    let (mut start, mut matched) = (0, 0);
    while start < paths.len() {
        // Files are sorted by path, and equal strings of a dictionary are equal views.
        let view = paths.views()[start];
        let end = paths.views()[start..].iter().position(|other| *other != view).map_or(paths.len(), |at| start + at);
        if let Some(bitmap) = by_path.get_mut(paths.value(start)) {
            let run = positions[start..end].iter().map(|position| position.unsigned_abs());
            matched += (end - start) as u64;
            if bitmap.append(run.clone()).is_err() {
                bitmap.extend(run); // not in order
            }
        }
        start = end;
    }
    Ok(matched)
}

/// True for deletes of the wanted data files, as far as statistics tell.
fn about(needed: &Needed) -> Predicate {
    let test = |op: Op, paths: Vec<&Arc<str>>| {
        let values = paths.into_iter().map(|path| Literal::String(path.to_string())).collect();
        Predicate::Leaf(Leaf { op, field: PATH_ID, field_type: Type::String, values })
    };
    match (needed.by.first(), needed.by.last()) {
        (Some(first), Some(last)) if needed.by.len() > MOST_NAMED => {
            Predicate::And(vec![test(Op::Ge, vec![first]), test(Op::Le, vec![last])])
        }
        _ => test(Op::In, needed.by.iter().collect()),
    }
}

/// The columns of a position delete file (spec: "Position Delete Files").
fn fields() -> Vec<NestedField> {
    let field = |id: i32, name: &str, field_type: Type| {
        let name = name.to_string();
        NestedField { id, name, required: true, field_type, initial_default: None }
    };
    vec![field(PATH_ID, "file_path", Type::String), field(POSITION_ID, "pos", Type::Long)]
}
