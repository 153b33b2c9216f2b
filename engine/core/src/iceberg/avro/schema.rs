//! The writer's schema of an Avro file: parsed from its JSON into an arena of nodes.
//!
//! Spec: <https://avro.apache.org/docs/1.12.0/specification/>. Named types are nodes that may be referred to again,
//! also from within themselves. Iceberg adds `field-id` to record fields. Must not know: columns, programs.

use std::collections::HashMap;

use serde_json::Value;

use super::cursor::invalid;
use crate::error::{Error, Result};

/// Position of a node in [`WriterSchema::nodes`].
pub(super) type NodeId = usize;

/// A parsed schema.
#[derive(Debug)]
pub(super) struct WriterSchema {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
    /// What the JSON says of a node beside its encoding
    pub(super) notes: HashMap<NodeId, Note>,
}

/// What a value means, where its encoding does not tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Note {
    /// The type's own name: `int` or `long`, `bytes` or `string`
    pub(super) name: String,
    /// `logicalType`
    pub(super) logical: Option<String>,
    /// Of a decimal
    pub(super) precision: Option<u8>,
    pub(super) scale: i8,
    /// `adjust-to-utc`, Iceberg's, of a moment
    pub(super) is_utc: Option<bool>,
    /// Iceberg's ids of an array's items, of a map's keys and values
    pub(super) element_id: Option<i32>,
    pub(super) key_id: Option<i32>,
    pub(super) value_id: Option<i32>,
}

impl Note {
    fn of(name: &str, value: &Value) -> Note {
        let small = |key: &str| value.get(key).and_then(Value::as_i64);
        let id = |key: &str| small(key).and_then(|id| i32::try_from(id).ok());
        Note {
            name: name.to_string(),
            logical: value.get("logicalType").and_then(Value::as_str).map(String::from),
            precision: small("precision").and_then(|precision| u8::try_from(precision).ok()),
            scale: small("scale").and_then(|scale| i8::try_from(scale).ok()).unwrap_or(0),
            is_utc: value.get("adjust-to-utc").and_then(Value::as_bool),
            element_id: id("element-id"),
            key_id: id("key-id"),
            value_id: id("value-id"),
        }
    }
}

/// A type; types with one encoding share a node.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Boolean,
    /// int, long
    Integer,
    Enum,
    Float,
    Double,
    /// bytes, string
    Bytes,
    Fixed(usize),
    Record(Vec<RecordField>),
    Array(NodeId),
    /// Keys are strings
    Map(NodeId),
    Union(Vec<NodeId>),
}

#[derive(Debug)]
pub(super) struct RecordField {
    pub(super) name: String,
    /// `field-id`, Iceberg's
    pub(super) id: Option<i32>,
    pub(super) node: NodeId,
}

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 100_000;

impl WriterSchema {
    /// Parses the text of `avro.schema`.
    pub(super) fn parse(json: &[u8]) -> Result<WriterSchema> {
        let value: Value =
            serde_json::from_slice(json).map_err(|e| invalid(format!("Avro: the schema is not JSON: {e}")))?;
        let mut parser = Parser { nodes: Vec::new(), named: HashMap::new(), notes: HashMap::new() };
        let root = parser.node(&value, "", 0)?;
        Ok(WriterSchema { nodes: parser.nodes, root, notes: parser.notes })
    }
}

struct Parser {
    nodes: Vec<Node>,
    named: HashMap<String, NodeId>,
    notes: HashMap<NodeId, Note>,
}

impl Parser {
    fn node(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<NodeId> {
        if depth > MAX_DEPTH || self.nodes.len() > MAX_NODES {
            return Err(invalid(format!("Avro: a schema deeper than {MAX_DEPTH} or of over {MAX_NODES} types")));
        }
        match value {
            Value::String(name) => {
                let id = self.by_name(name, namespace)?;
                self.notes.entry(id).or_insert_with(|| Note::of(name, &Value::Null));
                Ok(id)
            }
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace, depth + 1));
                let branches = branches.collect::<Result<Vec<_>>>()?;
                Ok(self.add(Node::Union(branches)))
            }
            Value::Object(_) => match value.get("type") {
                Some(Value::String(name)) => {
                    let id = self.complex(name, value, namespace, depth)?;
                    self.notes.entry(id).or_insert_with(|| Note::of(name, value));
                    Ok(id)
                }
                Some(inner) => self.node(inner, namespace, depth + 1), // {"type": {"type": "int"}}
                None => Err(bad(value)),
            },
            _ => Err(bad(value)),
        }
    }

    fn complex(&mut self, name: &str, value: &Value, namespace: &str, depth: usize) -> Result<NodeId> {
        let part = |key: &str| value.get(key).ok_or_else(|| bad(value));
        match name {
            "record" | "error" => self.record(value, namespace, depth),
            "enum" => {
                let id = self.add(Node::Enum);
                self.define(value, namespace, id).map(|_| id)
            }
            "fixed" => {
                let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let id = self.add(Node::Fixed(size.ok_or_else(|| bad(value))?));
                self.define(value, namespace, id).map(|_| id)
            }
            "array" => {
                let items = self.node(part("items")?, namespace, depth + 1)?;
                Ok(self.add(Node::Array(items)))
            }
            "map" => {
                let values = self.node(part("values")?, namespace, depth + 1)?;
                Ok(self.add(Node::Map(values)))
            }
            _ => self.by_name(name, namespace),
        }
    }

    fn record(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<NodeId> {
        let id = self.add(Node::Record(Vec::new())); // before its fields: they may refer to it
        let namespace = self.define(value, namespace, id)?;
        let fields = value.get("fields").and_then(Value::as_array).ok_or_else(|| bad(value))?;
        let fields = fields.iter().map(|field| self.field(field, &namespace, depth)).collect::<Result<Vec<_>>>()?;
        self.nodes[id] = Node::Record(fields);
        Ok(id)
    }

    fn field(&mut self, field: &Value, namespace: &str, depth: usize) -> Result<RecordField> {
        let name = field.get("name").and_then(Value::as_str).ok_or_else(|| bad(field))?.to_string();
        let node = self.node(field.get("type").ok_or_else(|| bad(field))?, namespace, depth + 1)?;
        let id = field.get("field-id").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
        Ok(RecordField { name, id, node })
    }

    /// Remembers a named type under its full name; returns the namespace that holds within it.
    fn define(&mut self, value: &Value, outer: &str, id: NodeId) -> Result<String> {
        let name = value.get("name").and_then(Value::as_str).ok_or_else(|| bad(value))?;
        let namespace = match (name.rsplit_once('.'), value.get("namespace").and_then(Value::as_str)) {
            (Some((namespace, _)), _) | (None, Some(namespace)) => namespace,
            (None, None) => outer,
        };
        let short = name.rsplit('.').next().unwrap_or(name);
        self.named.insert(full_name(short, namespace), id);
        Ok(namespace.to_string())
    }

    fn by_name(&mut self, name: &str, namespace: &str) -> Result<NodeId> {
        let node = match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" | "long" => Node::Integer,
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" | "string" => Node::Bytes,
            _ => {
                let known = self.named.get(&full_name(name, namespace)).or_else(|| self.named.get(name));
                return known.copied().ok_or_else(|| invalid(format!("Avro: unknown type {:?}", shorten(name))));
            }
        };
        Ok(self.add(node))
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') { name.to_string() } else { format!("{namespace}.{name}") }
}

fn bad(value: &Value) -> Error {
    invalid(format!("Avro: not a schema: {}", shorten(&value.to_string())))
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}
