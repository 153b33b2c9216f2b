//! Stage 2: the filter's columns decoded first, so that rows it removes are never materialised.
//!
//! Exact: row-level, whatever statistics and partitions promised before. Must not know: how a predicate is evaluated
//! ([`crate::frame::filter`]).

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, Kind, Result};
use crate::frame::filter::evaluate;
use crate::load::doubt::{self, Left, Pages};
use crate::load::leaves::{Wanted, chunks};
use crate::load::open::Group;
use crate::load::{Context, sparse};
use crate::parquet::reader::Chunks;

/// Row groups under way at once.
const CONCURRENT_GROUPS: usize = 12;

/// Leaves only groups with surviving rows, each with its selection.
pub(crate) async fn select(context: &Arc<Context>, groups: Vec<Group>) -> Result<Vec<Group>> {
    let wanted: Arc<[Wanted]> = wanted(context)?.into();
    let work = groups.into_iter().map(|group| {
        let (context, wanted) = (Arc::clone(context), Arc::clone(&wanted));
        let task = async move { select_group(&context, group, &wanted).await };
        crate::runtime::spawn(task)
    });
    let groups: Vec<Option<Group>> = futures::stream::iter(work).buffered(CONCURRENT_GROUPS).try_collect().await?;
    Ok(groups.into_iter().flatten().collect())
}

fn wanted(context: &Context) -> Result<Vec<Wanted>> {
    let leaves = context.predicate.leaves();
    let of = |id: i32| leaves.iter().find(|leaf| leaf.field == id);
    let fields = context.predicate.fields();
    let typed = fields.into_iter().filter_map(|id| of(id).map(|leaf| (id, leaf.field_type.to_arrow())));
    typed.map(|(id, data_type)| data_type.map(|data_type| Wanted::new(id, data_type))).collect()
}

async fn select_group(context: &Arc<Context>, group: Group, wanted: &Arc<[Wanted]>) -> Result<Option<Group>> {
    context.cancel.check()?;
    let place = group.file.task.location.clone();
    let group = match doubt::ask(context, &group).await? {
        Left::Nothing => return Ok(None),
        Left::All => group,
        Left::Pages(pages) => match select_pages(context, group, wanted, pages).await? {
            Ok(selected) => return Ok(selected),
            Err(group) => group,
        },
    };
    let chunks = chunks(&group, wanted).await?;
    let (counted, wanted) = (Arc::clone(context), Arc::clone(wanted));
    let work = move || {
        let mask = counted.metrics.decode.time(|| mask(&counted, &group, &wanted, &chunks))?;
        Ok(group.keeping(mask.values()))
    };
    context.decode(work).await.map_err(|error| error.at(place))
}

/// The same by some of its pages; the group back where its columns must be read whole.
async fn select_pages(
    context: &Arc<Context>,
    group: Group,
    wanted: &Arc<[Wanted]>,
    pages: Pages,
) -> Result<Result<Option<Group>, Group>> {
    if !wanted.iter().all(|column| sparse::is_direct(&group, column)) {
        return Ok(Err(group));
    }
    let fetched = sparse::fetch(&group, wanted, &pages).await?;
    let place = group.file.task.location.clone();
    let (counted, wanted) = (Arc::clone(context), Arc::clone(wanted));
    let work = move || {
        let passing = || sparse::passing(&counted, &group, &wanted, &pages, &fetched);
        let Some(mask) = counted.metrics.decode.time(passing)? else { return Ok(Err(group)) };
        let left_out = pages.rows.len() - pages.rows.count_set_bits();
        counted.metrics.pruned.rows_by_pages.add(left_out as u64);
        Ok(Ok(group.keeping(&mask)))
    };
    context.decode(work).await.map_err(|error| error.at(place))
}

fn mask(context: &Context, group: &Group, wanted: &[Wanted], chunks: &Chunks) -> Result<BooleanArray> {
    let rows = group.total_rows();
    let columns = wanted.iter().map(|column| Ok((column.id, column.values(context, group, chunks)?)));
    let columns = columns.collect::<Result<HashMap<i32, ArrayRef>>>()?;
    let resolve = |id: i32| {
        let missing = || Error::new(Kind::Internal, format!("the filter names field {id}, which was not decoded"));
        columns.get(&id).cloned().ok_or_else(missing)
    };
    evaluate(&context.predicate, &resolve, rows)
}
