//! Schema resolution: the writer's schema and the wanted fields -> a decoder program.
//!
//! Fields are found by Iceberg's `field-id`; by name only in records that carry no ids at all. What is not wanted is
//! compiled to skips. Must not know: files, what the columns mean.

use super::columns::ColumnKind;
use super::cursor::invalid;
use super::program::{Pick, Program, Step};
use super::schema::{Node, NodeId, RecordField, WriterSchema};
use crate::error::{Error, Kind, Result};

/// What to keep of a value.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// The value goes to the column at this slot
    Column(usize, ColumnKind),
    /// Some fields of a record
    Record(Vec<WantField>),
    /// Values of some keys of a map, which Iceberg writes as an array of (int key, value) records
    Pick(Vec<(i32, Want)>),
    /// An array: its bounds at this slot, its items as rows of the columns of the wanted fields. Of plain values the one
    /// wanted field is the element itself
    List(usize, Vec<WantField>),
}

/// A wanted field of a record.
#[derive(Clone, Debug)]
pub(crate) struct WantField {
    /// Iceberg's field id
    pub(crate) id: i32,
    /// Name, used where the writer left ids out
    pub(crate) name: String,
    /// The schema must have it
    pub(crate) required: bool,
    /// What to keep of it
    pub(crate) want: Want,
}

/// Compiles the program; every slot in `wanted` must be below the number of columns.
pub(super) fn compile(schema: &WriterSchema, wanted: &[WantField]) -> Result<Program> {
    let mut compiler = Compiler { schema, skip_of: vec![None; schema.nodes.len()], skips: Vec::new() };
    let root = match &schema.nodes[schema.root] {
        Node::Record(fields) => compiler.record(fields, wanted)?,
        other => return Err(invalid(format!("Avro: expected records, found {}", name_of(other)))),
    };
    Ok(Program { root, skips: compiler.skips })
}

/// For every one of `slots` slots that holds items of a list the list's slot.
pub(super) fn lists(wanted: &[WantField], slots: usize) -> Vec<Option<usize>> {
    fn mark(want: &Want, list: Option<usize>, of: &mut [Option<usize>]) {
        match want {
            Want::Column(slot, _) => of[*slot] = list,
            Want::Record(fields) => fields.iter().for_each(|field| mark(&field.want, list, of)),
            Want::Pick(keys) => keys.iter().for_each(|(_, want)| mark(want, list, of)),
            Want::List(slot, fields) => {
                of[*slot] = list;
                fields.iter().for_each(|field| mark(&field.want, Some(*slot), of));
            }
        }
    }
    let mut of = vec![None; slots];
    wanted.iter().for_each(|field| mark(&field.want, None, &mut of));
    of
}

struct Compiler<'a> {
    schema: &'a WriterSchema,
    /// Record nodes that have, or are getting, a skip program
    skip_of: Vec<Option<usize>>,
    skips: Vec<Step>,
}

impl Compiler<'_> {
    fn record(&mut self, fields: &[RecordField], wanted: &[WantField]) -> Result<Step> {
        let mut steps = Vec::with_capacity(fields.len());
        let mut found = vec![false; wanted.len()];
        let by_name = fields.iter().all(|field| field.id.is_none());
        for field in fields {
            let same = |want: &WantField| if by_name { want.name == field.name } else { Some(want.id) == field.id };
            match wanted.iter().position(same) {
                Some(at) if found[at] => {
                    return Err(invalid(format!("Avro: two fields are {:?} (id {})", field.name, wanted[at].id)));
                }
                Some(at) => {
                    found[at] = true;
                    let step = self.wanted(field.node, &wanted[at].want);
                    steps.push(step.map_err(|e| place(&e, &field.name, wanted[at].id))?);
                }
                None => steps.push(self.skip(field.node)),
            }
        }
        match wanted.iter().zip(&found).find(|(want, found)| want.required && !**found) {
            Some((want, _)) => Err(invalid(format!("Avro: field {:?} (id {}) is missing", want.name, want.id))),
            None => Ok(Step::Record(merged(steps).into())),
        }
    }

    fn wanted(&mut self, node: NodeId, want: &Want) -> Result<Step> {
        let schema = self.schema;
        match (&schema.nodes[node], want) {
            (Node::Union(branches), _) => self.union(branches, want),
            (Node::Null, _) => Ok(Step::Nothing),
            (Node::Boolean, Want::Column(slot, ColumnKind::Integer)) => Ok(Step::Boolean(*slot)),
            (Node::Integer, Want::Column(slot, ColumnKind::Integer)) => Ok(Step::Integer(*slot)),
            (Node::Float, Want::Column(slot, ColumnKind::Float)) => Ok(Step::Float(*slot)),
            (Node::Double, Want::Column(slot, ColumnKind::Float)) => Ok(Step::Double(*slot)),
            (Node::Bytes, Want::Column(slot, ColumnKind::Bytes)) => Ok(Step::Bytes(*slot)),
            (Node::Fixed(length), Want::Column(slot, ColumnKind::Bytes)) => Ok(Step::Fixed(*slot, *length)),
            (Node::Record(fields), Want::Record(wanted)) => self.record(fields, wanted),
            (Node::Array(items), Want::Pick(keys)) => self.pick(*items, keys),
            (Node::Array(items), Want::List(slot, wanted)) => {
                let item = match (&schema.nodes[*items], wanted.as_slice()) {
                    (Node::Record(fields), _) => self.record(fields, wanted)?,
                    (_, [element]) => self.wanted(*items, &element.want)?,
                    (other, _) => return Err(mismatch(other, want)),
                };
                let smallest = self.smallest(*items, 0).max(1);
                Ok(Step::List { slot: *slot, item: Box::new(item), smallest })
            }
            (other, _) => Err(mismatch(other, want)),
        }
    }

    /// One branch may hold the value; a branch of another type is refused only if a record takes it.
    fn union(&mut self, branches: &[NodeId], want: &Want) -> Result<Step> {
        let steps = branches.iter().map(|branch| match &self.schema.nodes[*branch] {
            Node::Union(_) => Err(invalid("Avro: a union within a union")),
            _ => self.wanted(*branch, want),
        });
        steps.collect::<Result<Vec<_>>>().map(|steps| Step::Union(steps.into()))
    }

    fn pick(&mut self, items: NodeId, keys: &[(i32, Want)]) -> Result<Step> {
        let schema = self.schema;
        let Node::Record(fields) = &schema.nodes[items] else {
            return Err(invalid(format!("expected (key, value) records, found {}", name_of(&schema.nodes[items]))));
        };
        let position = |name: &str| fields.iter().position(|field| field.name == name);
        let (Some(0), Some(value)) = (position("key"), position("value")) else {
            return Err(invalid("expected (key, value) records, key first"));
        };
        if !matches!(schema.nodes[fields[0].node], Node::Integer) {
            return Err(invalid("expected int keys"));
        }
        let wanted = keys.iter().map(|(key, want)| Ok((*key, self.wanted(fields[value].node, want)?)));
        let wanted = wanted.collect::<Result<Vec<_>>>()?;
        let before = fields[1..value].iter().map(|field| self.skip(field.node)).collect();
        let after = fields[value + 1..].iter().map(|field| self.skip(field.node)).collect();
        let unwanted = self.skip(fields[value].node);
        Ok(Step::Pick(Box::new(Pick { before, wanted: wanted.into(), unwanted, after })))
    }

    fn skip(&mut self, node: NodeId) -> Step {
        let schema = self.schema;
        match &schema.nodes[node] {
            Node::Null => Step::Nothing,
            Node::Boolean => Step::SkipFixed(1),
            Node::Integer | Node::Enum => Step::SkipVarints(1),
            Node::Float => Step::SkipFixed(4),
            Node::Double => Step::SkipFixed(8),
            Node::Bytes => Step::SkipBytes,
            Node::Fixed(0) => Step::Nothing,
            Node::Fixed(length) => Step::SkipFixed(*length),
            Node::Array(items) => Step::SkipArray(Box::new(self.skip(*items)), self.smallest(*items, 0)),
            Node::Map(values) => Step::SkipMap(Box::new(self.skip(*values)), self.smallest(*values, 0)),
            Node::Union(branches) => Step::Union(branches.iter().map(|branch| self.skip(*branch)).collect()),
            Node::Record(fields) => self.skip_record(node, fields),
        }
    }

    /// Records of a few leaves are skipped in place, all others through a program of their own, compiled once.
    fn skip_record(&mut self, node: NodeId, fields: &[RecordField]) -> Step {
        if let Some(index) = self.skip_of[node] {
            return self.skip_again(index);
        }
        let index = self.skips.len();
        self.skip_of[node] = Some(index);
        self.skips.push(Step::Skip(index));
        let steps = merged(fields.iter().map(|field| self.skip(field.node)).collect());
        self.skips[index] = match <[Step; 1]>::try_from(steps) {
            Ok([only]) => only,
            Err(steps) if steps.is_empty() => Step::Nothing,
            Err(steps) => Step::Record(steps.into()),
        };
        self.skip_again(index)
    }

    fn skip_again(&self, index: usize) -> Step {
        match &self.skips[index] {
            leaf if leaf.is_leaf() => copy_leaf(leaf),
            Step::Record(steps) if steps.len() <= 8 && steps.iter().all(Step::is_leaf) => {
                Step::Record(steps.iter().map(copy_leaf).collect())
            }
            _ => Step::Skip(index),
        }
    }

    /// A lower limit of the bytes that a value takes, 0 only if it may take none.
    fn smallest(&self, node: NodeId, depth: usize) -> usize {
        match &self.schema.nodes[node] {
            Node::Null => 0,
            Node::Float => 4,
            Node::Double => 8,
            Node::Fixed(length) => *length,
            Node::Record(fields) if depth < 2 => {
                fields.iter().take(8).map(|field| self.smallest(field.node, depth + 1)).fold(0, usize::saturating_add)
            }
            Node::Record(_) => 0,
            _ => 1,
        }
    }
}

/// Joins neighbouring varint skips and drops steps that do nothing.
fn merged(steps: Vec<Step>) -> Vec<Step> {
    let mut merged: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        match (merged.last_mut(), step) {
            (_, Step::Nothing | Step::SkipFixed(0)) => {}
            (Some(Step::SkipVarints(before)), Step::SkipVarints(count)) => *before += count,
            (Some(Step::SkipFixed(before)), Step::SkipFixed(length)) => *before = before.saturating_add(length),
            (_, step) => merged.push(step),
        }
    }
    merged
}

fn copy_leaf(step: &Step) -> Step {
    match step {
        Step::SkipVarints(count) => Step::SkipVarints(*count),
        Step::SkipFixed(length) => Step::SkipFixed(*length),
        Step::SkipBytes => Step::SkipBytes,
        _ => Step::Nothing,
    }
}

fn mismatch(found: &Node, want: &Want) -> Error {
    let expected = match want {
        Want::Column(_, ColumnKind::Integer) => "a boolean, int or long",
        Want::Column(_, ColumnKind::Float) => "a float or double",
        Want::Column(_, ColumnKind::Bytes) => "bytes, a string or fixed",
        Want::Record(_) => "a record",
        Want::Column(_, ColumnKind::List) | Want::Pick(_) | Want::List(_, _) => "an array of records",
    };
    invalid(format!("expected {expected}, found {}", name_of(found)))
}

fn place(error: &Error, name: &str, id: i32) -> Error {
    Error::new(Kind::InvalidData, format!("Avro: field {name:?} (id {id}): {}", error.message()))
}

fn name_of(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Boolean => "a boolean",
        Node::Integer => "an int or long",
        Node::Enum => "an enum",
        Node::Float => "a float",
        Node::Double => "a double",
        Node::Bytes => "bytes or a string",
        Node::Fixed(_) => "fixed",
        Node::Record(_) => "a record",
        Node::Array(_) => "an array",
        Node::Map(_) => "a map",
        Node::Union(_) => "a union",
    }
}
