//! The rules of scan planning, one by one, and lists of deletes that follow their files.

use std::collections::HashMap;

use arrow_array::{Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema};

use super::*;
use crate::iceberg::schema::{NestedField, Type};

fn delete(name: &str, kind: DeleteKind, sequence_number: i64) -> DeleteFile {
    let field = NestedField {
        id: 1,
        name: "id".into(),
        required: false,
        field_type: Type::Decimal(9, 2),
        initial_default: Some("1.25".into()),
    };
    DeleteFile {
        kind,
        location: name.into(),
        file_size: 10,
        record_count: 1,
        range: 4..9,
        sequence_number,
        scope: 0,
        fields: if kind == DeleteKind::Equality { vec![Arc::new(field)] } else { Vec::new() },
    }
}

/// The partition of spec 1 whose value is `day`.
fn partition(day: i32) -> Option<Partition> {
    Some((1, tuple_key(&tuples(&[day]), 0).unwrap()))
}

fn tuples(days: &[i32]) -> StructArray {
    let fields = Fields::from(vec![Field::new("1000", DataType::Int32, true)]);
    StructArray::new(fields, vec![Arc::new(Int32Array::from(days.to_vec()))], None)
}

fn equality(name: &str, sequence: i64, partition: Option<Partition>) -> Planned {
    Planned { file: delete(name, DeleteKind::Equality, sequence), partition, paths: Paths::Between(None, None) }
}

fn positions(name: &str, sequence: i64, day: i32, paths: Paths) -> Planned {
    Planned { file: delete(name, DeleteKind::Positions, sequence), partition: partition(day), paths }
}

fn vector(name: &str, sequence: i64, path: &str) -> Planned {
    Planned {
        file: delete(name, DeleteKind::Vector, sequence),
        partition: partition(1),
        paths: Paths::One(path.into()),
    }
}

/// Data files: path, day, sequence number.
fn files(files: &[(&str, i32, i64)]) -> RecordBatch {
    let int64 = |of: &dyn Fn(&(&str, i32, i64)) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(files.iter().map(of)))
    };
    let days: Vec<i32> = files.iter().map(|file| file.1).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("location", Arc::new(StringArray::from_iter_values(files.iter().map(|file| file.0)))),
        ("file_size", int64(&|_| 10)),
        ("record_count", int64(&|_| 10)),
        ("start", int64(&|_| 0)),
        ("length", int64(&|_| 10)),
        ("spec_id", Arc::new(Int32Array::from(vec![1; files.len()]))),
        ("sequence_number", int64(&|file| file.2)),
        ("first_row_id", int64(&|_| 0)),
        ("partition", Arc::new(tuples(&days))),
    ];
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Schema::new(fields).with_metadata(HashMap::from([("partition-specs".into(), "[]".into())]));
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn names(list: &FileList, row: usize) -> Vec<String> {
    list.deletes(row).unwrap().iter().map(|file| file.location.clone()).collect()
}

/// The deletes of each data file.
fn assigned(planned: Vec<Planned>, data: &[(&str, i32, i64)]) -> Vec<Vec<String>> {
    let list = DeleteIndex::new(planned).unwrap().assign(files(data)).unwrap();
    (0..list.len()).map(|row| names(&list, row)).collect()
}

#[test]
fn an_equality_delete_is_about_older_files_of_its_partition_or_of_all() {
    let planned = vec![
        equality("all5", 5, None),
        equality("one3", 3, partition(1)),
        equality("one7", 7, partition(1)),
        equality("two7", 7, partition(2)),
    ];
    let found = assigned(planned, &[("a", 1, 2), ("b", 1, 3), ("c", 1, 5), ("d", 2, 4), ("e", 3, 4), ("f", 1, 7)]);
    let expected: [&[&str]; 6] =
        [&["all5", "one3", "one7"], &["all5", "one7"], &["one7"], &["all5", "two7"], &["all5"], &[]];
    assert_eq!(found, expected);
}

#[test]
fn a_position_delete_is_about_its_own_commit_too() {
    let planned = vec![
        positions("p3", 3, 1, Paths::Between(None, None)),
        positions("p4", 4, 1, Paths::Between(Some("a".into()), Some("b".into()))),
    ];
    let found = assigned(planned, &[("a", 1, 3), ("b/long", 1, 4), ("c", 1, 3), ("a", 2, 3), ("a", 1, 5)]);
    let expected: [&[&str]; 5] = [&["p3", "p4"], &["p4"], &["p3"], &[], &[]];
    assert_eq!(found, expected);
}

#[test]
fn a_file_is_found_by_its_name_even_if_bounds_are_cut_short() {
    let planned = vec![
        positions("whole", 3, 1, Paths::One("s3://lake/a.parquet".into())),
        positions("cut", 3, 1, Paths::One("s3://lake/".into())),
    ];
    let found = assigned(planned, &[("s3://lake/a.parquet", 1, 3), ("s3://lake/b.parquet", 9, 1), ("s3", 1, 1)]);
    let expected: [&[&str]; 3] = [&["cut", "whole"], &["cut"], &[]];
    assert_eq!(found, expected);
}

#[test]
fn a_vector_replaces_positions_but_not_values() {
    let planned = vec![
        vector("v", 5, "a"),
        positions("p", 6, 1, Paths::Between(None, None)),
        positions("pa", 6, 1, Paths::One("a".into())),
        equality("e", 9, None),
    ];
    let found = assigned(planned, &[("a", 1, 5), ("b", 1, 5), ("a", 1, 6)]);
    let expected: [&[&str]; 3] = [&["e", "v"], &["e", "p"], &["e", "p", "pa"]];
    assert_eq!(found, expected);

    let twice = DeleteIndex::new(vec![vector("v", 5, "a"), vector("w", 6, "a")]);
    assert!(twice.err().unwrap().message().contains("two deletion vectors of one data file"));
}

#[test]
fn tables_of_keys_are_numbered_by_partition() {
    let planned = vec![
        equality("g", 5, None),
        equality("a", 6, partition(1)),
        equality("b", 6, partition(2)),
        vector("v", 1, "x"),
    ];
    let index = DeleteIndex::new(planned).unwrap();
    let scopes: HashMap<&str, i32> =
        index.list().files().iter().map(|file| (file.location.as_str(), file.scope)).collect();
    assert_eq!(scopes["g"], 0);
    assert_eq!([scopes["a"], scopes["b"]].iter().collect::<BTreeSet<_>>(), BTreeSet::from([&1, &2]));
}

#[test]
fn a_shard_takes_along_what_it_needs() {
    let planned = vec![
        equality("e9", 9, None),
        equality("e2", 2, None),
        positions("pa", 9, 1, Paths::One("a".into())),
        positions("pb", 9, 1, Paths::One("b".into())),
        vector("vc", 9, "c"),
    ];
    let all = DeleteIndex::new(planned).unwrap().assign(files(&[("a", 1, 1), ("b", 1, 2), ("c", 1, 9)])).unwrap();
    for list in [all.take(&[2, 1]).unwrap(), all.slice(1, 1), all.slice(2, 1), all.clone()] {
        let back = FileList::from_bytes(&list.to_bytes().unwrap()).unwrap();
        for row in 0..list.len() {
            assert_eq!(names(&back, row), names(&list, row));
            let (ours, theirs) = (list.deletes(row).unwrap(), back.deletes(row).unwrap());
            assert!(ours.iter().eq(theirs.iter()));
        }
        assert_eq!(list.all_deletes().unwrap(), back.all_deletes().unwrap());
    }
    let one = FileList::from_bytes(&all.slice(2, 1).to_bytes().unwrap()).unwrap();
    assert_eq!((names(&one, 0), one.all_deletes().unwrap().len()), (vec!["vc".to_string()], 1));
    let none = DeleteIndex::new(vec![vector("v", 1, "gone")]).unwrap().assign(files(&[("a", 1, 1)])).unwrap();
    let back = FileList::from_bytes(&none.to_bytes().unwrap()).unwrap();
    assert!(back.batch().column_by_name("deletes").is_none());
}

#[test]
fn damaged_lists_are_refused() {
    let all = DeleteIndex::new(vec![equality("e", 9, None)]).unwrap().assign(files(&[("a", 1, 1)])).unwrap();
    let bytes = all.to_bytes().unwrap();
    for length in 0..bytes.len() {
        if let Ok(list) = FileList::from_bytes(&bytes[..length]) {
            assert_eq!(names(&list, 0), ["e"], "{length} of {} bytes", bytes.len()); // but for the end marker it is whole
        }
    }
    assert!(FileList::new(all.batch().clone()).unwrap_err().message().contains("without the list"));
    let nothing = DeleteList::new(Vec::new());
    let error = FileList::with_deletes(all.batch().clone(), nothing).unwrap_err();
    assert!(error.message().contains("not in its list"), "{error}");
}
