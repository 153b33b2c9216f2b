//! Rows split by partition: one pass gives each row the number of its partition, a second one gathers the rows.
//!
//! Ranges of rows are numbered on all threads, each by itself; then the few distinct tuples are brought together. Where
//! the rows of every partition lie together already they are views, else positions: whoever writes has one file open at
//! a time. Must not know: files. Neighbours: `keys` for values, `conform` for columns.

use std::collections::HashMap;

use arrow_array::RecordBatch;

use crate::error::{Error, Kind, Result};
use crate::iceberg::scalar::Scalar;
use crate::iceberg::specs::PartitionSpec;
use crate::iceberg::transforms::Transform;
use crate::parallel;
use crate::runtime::Cancel;
use crate::write::conform::Conform;
use crate::write::keys::{Key, Place, QuickBuild, Values};
use crate::write::rows::Rows;

/// Rows that one thread numbers at a time.
const CHUNK_ROWS: usize = if cfg!(test) { 100 } else { 1 << 18 };

/// The values of a partition, in the order of the spec's fields.
pub(crate) type Tuple = Vec<Option<Key>>;

/// A partition and its rows, in the frame's order.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) tuple: Tuple,
    pub(crate) rows: Rows,
}

/// A partition field bound to a column.
struct Source<'a> {
    transform: &'a Transform,
    place: Option<Place>,
}

/// Splits the frame's rows, partitions in the order in which they first appear.
pub(crate) fn split(
    frame: &RecordBatch,
    conform: &Conform,
    spec: &PartitionSpec,
    threads: usize,
    cancel: &Cancel,
) -> Result<Vec<Partition>> {
    let sources = bind(conform, spec)?;
    let rows = frame.num_rows();
    if sources.iter().all(|source| source.place.is_none()) {
        let tuple = vec![None; sources.len()];
        return Ok(vec![Partition { tuple, rows: Rows::Range(0..rows) }]);
    }
    let chunks = (0..rows).step_by(CHUNK_ROWS).map(|start| start..rows.min(start + CHUNK_ROWS)).collect();
    let numbered = parallel::map(chunks, threads, |range| {
        cancel.check()?;
        number(frame, conform, &sources, &Rows::Range(range))
    });
    let chunks = numbered.into_iter().collect::<Result<Vec<_>>>()?;
    let (tuples, chunks) = unite(chunks);
    Ok(gather(tuples, &chunks, rows))
}

fn bind<'a>(conform: &Conform, spec: &'a PartitionSpec) -> Result<Vec<Source<'a>>> {
    let fields: Vec<_> = conform.columns.iter().map(|column| column.field.clone()).collect();
    let field = |field: &'a crate::iceberg::specs::PartitionField| {
        if let Transform::Unknown(name) = &field.transform {
            let message = format!("partition field {:?} has transform {name:?}, which is not known here", field.name);
            return Err(Error::new(Kind::Unsupported, message));
        }
        let place = match field.transform {
            Transform::Void => None,
            _ => Some(field.source.and_then(|id| Place::find(&fields, id)).ok_or_else(|| {
                let message = format!("partition field {:?} is made of a column that the schema lacks", field.name);
                Error::new(Kind::InvalidData, message)
            })?),
        };
        Ok(Source { transform: &field.transform, place })
    };
    spec.fields.iter().map(field).collect()
}

/// Numbers of rows, and what each number stands for.
struct Numbered {
    codes: Vec<u32>,
    tuples: Vec<Tuple>,
}

fn number(frame: &RecordBatch, conform: &Conform, sources: &[Source<'_>], rows: &Rows) -> Result<Numbered> {
    let mut all = Numbered { codes: vec![0; rows.len()], tuples: vec![Vec::new()] };
    for source in sources {
        let Some(place) = &source.place else {
            all.tuples.iter_mut().for_each(|tuple| tuple.push(None));
            continue;
        };
        let column = &conform.columns[place.column];
        let values = column.source().map(|at| rows.of(frame.column(at))).transpose()?;
        let fitted = column.fit(values.as_ref(), rows.len(), |at| rows.row(at))?;
        let values = Values::new(&place.of(&fitted)?, &place.field_type)?;
        let (codes, keys) = codes(&values, source.transform, place, rows)?;
        all = combine(all, &codes, &keys);
    }
    Ok(all)
}

/// Numbers of one column's values under its transform.
fn codes(values: &Values, transform: &Transform, place: &Place, rows: &Rows) -> Result<(Vec<u32>, Vec<Option<Key>>)> {
    let mut numbers = Numbers::default();
    let mut codes = Vec::with_capacity(values.len());
    let mut last: Option<(Option<Scalar>, u32)> = None;
    for row in 0..values.len() {
        let value = values.get(row);
        if let Some((before, code)) = last
            && before == value
            && !matches!(value, Some(Scalar::Float(_)))
        {
            codes.push(code);
            continue;
        }
        let image = match value {
            None => None,
            Some(scalar) => Some(transform.apply(scalar, &place.field_type).ok_or_else(|| {
                let message = format!(
                    "column {:?}, row {}: {} of {scalar:?} is beyond the type of the partition value",
                    place.name,
                    rows.row(row),
                    name_of(transform)
                );
                Error::new(Kind::TypeMismatch, message)
            })?),
        };
        let code = numbers.of(image);
        codes.push(code);
        last = Some((value, code));
    }
    Ok((codes, numbers.keys))
}

/// A transform as a spec names it.
pub(crate) fn name_of(transform: &Transform) -> String {
    match transform {
        Transform::Bucket(count) => format!("bucket[{count}]"),
        Transform::Truncate(width) => format!("truncate[{width}]"),
        Transform::Unknown(name) => name.clone(),
        simple => format!("{simple:?}").to_lowercase(),
    }
}

/// Distinct values, numbered as they come.
#[derive(Default)]
struct Numbers {
    keys: Vec<Option<Key>>,
    null: Option<u32>,
    integers: HashMap<i64, u32, QuickBuild>,
    bytes: HashMap<Box<[u8]>, u32, QuickBuild>,
    others: HashMap<Key, u32>,
    last: Option<u32>,
}

impl Numbers {
    fn of(&mut self, value: Option<Scalar>) -> u32 {
        if let Some(last) = self.last
            && match (&self.keys[last as usize], value) {
                (Some(key), Some(value)) => key.is(value),
                (None, None) => true,
                _ => false,
            }
        {
            return last;
        }
        let next = self.keys.len() as u32;
        let code = match value {
            None => *self.null.get_or_insert(next),
            Some(Scalar::Integer(value)) => *self.integers.entry(value).or_insert(next),
            Some(Scalar::Bytes(value)) => match self.bytes.get(value) {
                Some(code) => *code,
                None => *self.bytes.entry(value.into()).or_insert(next),
            },
            Some(other) => *self.others.entry(Key::of(other)).or_insert(next),
        };
        if code == next {
            self.keys.push(value.map(Key::of));
        }
        self.last = Some(code);
        code
    }
}

/// The numbers of pairs.
fn combine(left: Numbered, codes: &[u32], keys: &[Option<Key>]) -> Numbered {
    let mut known: HashMap<u64, u32, QuickBuild> = HashMap::default();
    let mut tuples: Vec<Tuple> = Vec::new();
    let mut last = None;
    let both = left.codes.iter().zip(codes).map(|(one, other)| {
        let pair = u64::from(*one) << 32 | u64::from(*other);
        match last {
            Some((before, code)) if before == pair => code,
            _ => {
                let code = *known.entry(pair).or_insert_with(|| {
                    let tuple = &left.tuples[*one as usize];
                    tuples.push(tuple.iter().chain([&keys[*other as usize]]).cloned().collect());
                    (tuples.len() - 1) as u32
                });
                last = Some((pair, code));
                code
            }
        }
    });
    let codes = both.collect();
    Numbered { codes, tuples }
}

/// One numbering for all chunks.
fn unite(chunks: Vec<Numbered>) -> (Vec<Tuple>, Vec<Vec<u32>>) {
    let mut known: HashMap<Tuple, u32> = HashMap::new();
    let mut all = Vec::new();
    let united = chunks.into_iter().map(|chunk| {
        let to_all = chunk.tuples.into_iter().map(|tuple| {
            let next = all.len() as u32;
            let code = *known.entry(tuple.clone()).or_insert(next);
            if code == next {
                all.push(tuple);
            }
            code
        });
        let to_all: Vec<u32> = to_all.collect();
        let mut codes = chunk.codes;
        codes.iter_mut().for_each(|code| *code = to_all[*code as usize]);
        codes
    });
    let united = united.collect();
    (all, united)
}

/// The rows of each number: views where all of them lie together.
fn gather(tuples: Vec<Tuple>, chunks: &[Vec<u32>], rows: usize) -> Vec<Partition> {
    let (mut counts, mut firsts, mut runs, mut last) = (vec![0u32; tuples.len()], vec![0; tuples.len()], 0, None);
    for (row, code) in chunks.iter().flatten().enumerate() {
        if last != Some(*code) {
            (runs, last) = (runs + 1, Some(*code));
            if counts[*code as usize] == 0 {
                firsts[*code as usize] = row;
            }
        }
        counts[*code as usize] += 1;
    }
    if runs == tuples.len() {
        let ranges = firsts.iter().zip(&counts).map(|(first, count)| Rows::Range(*first..*first + *count as usize));
        return tuples.into_iter().zip(ranges).map(|(tuple, rows)| Partition { tuple, rows }).collect();
    }
    let starts: Vec<u32> = counts
        .iter()
        .scan(0, |next, count| {
            let start = *next;
            *next += count;
            Some(start)
        })
        .collect();
    let (mut positions, mut next) = (vec![0u32; rows], starts.clone());
    for (row, code) in chunks.iter().flatten().enumerate() {
        let place = &mut next[*code as usize];
        positions[*place as usize] = row as u32;
        *place += 1;
    }
    let positions = arrow_buffer::ScalarBuffer::from(positions);
    let partition = |(tuple, (start, count)): (Tuple, (u32, u32))| Partition {
        tuple,
        rows: Rows::Picked(positions.slice(start as usize, count as usize)),
    };
    tuples.into_iter().zip(starts.into_iter().zip(counts)).map(partition).collect()
}

#[cfg(test)]
#[path = "fanout_tests.rs"]
mod tests;
