//! A frame as text: the table of its repr, and the cells of its HTML.
//!
//! Must not know: terminals, notebooks. Costs nothing for the rows it does not show.

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, TimeUnit};

use crate::frame::Frame;

/// A cell longer than this is cut.
const CELL_CHARACTERS: usize = 32;
const CUT: char = '…';

/// The cells of a frame's first and last rows.
pub struct Cells {
    /// Names of the columns
    pub names: Vec<String>,
    /// Their types, as a reader of schemas knows them
    pub types: Vec<String>,
    /// First rows, a cell a column
    pub head: Vec<Vec<String>>,
    /// Last rows; empty where the head is all
    pub tail: Vec<Vec<String>>,
}

/// The cells of at most `max_rows` rows.
pub fn cells(frame: &Frame, max_rows: usize) -> Cells {
    let schema = frame.batch().schema();
    let rows = frame.num_rows();
    let (head, tail) = if rows <= max_rows { (rows, 0) } else { (max_rows.div_ceil(2), max_rows / 2) };
    Cells {
        names: schema.fields().iter().map(|field| cut(field.name())).collect(),
        types: schema.fields().iter().map(|field| cut(&type_name(field.data_type()))).collect(),
        head: rows_of(&frame.slice(0, head)),
        tail: rows_of(&frame.slice(rows - tail, tail)),
    }
}

/// A table of text: at most `max_rows` rows, columns up to `max_width` characters in all.
pub fn table(frame: &Frame, max_rows: usize, max_width: usize) -> String {
    let cells = cells(frame, max_rows);
    let omitted = !cells.tail.is_empty();
    let mut lines: Vec<Vec<String>> = vec![cells.names.clone(), cells.types.clone()];
    lines.extend(cells.head);
    if omitted {
        lines.push(vec![CUT.to_string(); cells.names.len()]);
        lines.extend(cells.tail);
    }
    let right: Vec<bool> = frame.batch().schema().fields().iter().map(|field| field.data_type().is_numeric()).collect();
    let widths: Vec<usize> = (0..cells.names.len())
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max().unwrap_or(0))
        .collect();
    let shown = columns_that_fit(&widths, max_width);
    let mut text: Vec<String> = lines.iter().map(|line| join(line, &widths, &right, shown)).collect();
    if shown < widths.len() {
        let hidden = cells.names.get(shown..).unwrap_or_default().join(", ");
        text.push(format!("and {} more columns: {}", widths.len() - shown, shorten(&hidden, max_width)));
    }
    text.join("\n")
}

fn columns_that_fit(widths: &[usize], max_width: usize) -> usize {
    let mut used = 0;
    let fit = widths.iter().take_while(|width| {
        used += *width + 2;
        used <= max_width + 2
    });
    fit.count().max(1).min(widths.len())
}

fn join(line: &[String], widths: &[usize], right: &[bool], shown: usize) -> String {
    let cells = line.iter().zip(widths).zip(right).take(shown).map(|((cell, full), right)| {
        let space = " ".repeat(full.saturating_sub(width(cell)));
        if *right { format!("{space}{cell}") } else { format!("{cell}{space}") }
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
}

fn rows_of(frame: &Frame) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("null").with_display_error(true);
    let columns: Vec<_> = frame.batch().columns().iter().map(|c| ArrayFormatter::try_new(c, &options).ok()).collect();
    let cell = |formatter: &Option<ArrayFormatter<'_>>, row: usize| match formatter {
        // try_to_string also where a time has no calendar date: its text is the error's.
        Some(formatter) => formatter.value(row).try_to_string().unwrap_or_else(|_| "?".to_string()),
        None => "?".to_string(),
    };
    (0..frame.num_rows()).map(|row| columns.iter().map(|formatter| cut(&cell(formatter, row))).collect()).collect()
}

/// One line, no longer than a cell may be.
fn cut(text: &str) -> String {
    let line: String = text.chars().take(CELL_CHARACTERS * 4).collect();
    shorten(&line.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"), CELL_CHARACTERS)
}

fn shorten(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some(_) => text.chars().take(characters.saturating_sub(1)).chain([CUT]).collect(),
        None => text.to_string(),
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A type as SQL and Iceberg users write it: `int64`, `string`, `decimal(15, 2)`, `timestamp[us, UTC]`, `list<int32>`.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        DataType::FixedSizeBinary(width) => format!("fixed({width})"),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time[{}]", unit_name(unit)),
        DataType::Duration(unit) => format!("duration[{}]", unit_name(unit)),
        DataType::Timestamp(unit, None) => format!("timestamp[{}]", unit_name(unit)),
        DataType::Timestamp(unit, Some(zone)) => format!("timestamp[{}, {zone}]", unit_name(unit)),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::List(element) | DataType::LargeList(element) => format!("list<{}>", type_name(element.data_type())),
        DataType::FixedSizeList(element, width) => format!("list<{}, {width}>", type_name(element.data_type())),
        DataType::Struct(fields) => {
            let inner = fields.iter().map(|field| format!("{}: {}", field.name(), type_name(field.data_type())));
            format!("struct<{}>", inner.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let inner: Vec<_> = pair.iter().map(|field| type_name(field.data_type())).collect();
                format!("map<{}>", inner.join(", "))
            }
            _ => "map".into(),
        },
        DataType::Dictionary(_, value) => format!("dictionary<{}>", type_name(value)),
        other => other.to_string().to_lowercase(),
    }
}

fn unit_name(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}
