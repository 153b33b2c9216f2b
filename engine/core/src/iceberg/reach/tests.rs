//! The set of places, and what of a listing is an orphan, without a store: no snapshots are read.

use serde_json::json;

use super::orphans;
use super::places::Places;
use crate::error::Kind;
use crate::runtime::{Cancel, runtime};
use crate::store::{Listed, Properties, Store};

fn listed(location: &str, modified_ms: Option<i64>) -> Listed {
    Listed { location: location.to_owned(), size: 1, modified_ms }
}

fn found(listing: &[Listed]) -> crate::error::Result<Vec<String>> {
    let asked = json!({
        "snapshots": [], "keep": ["s3a://b/t/data/in use.parquet", "s3://b/t/metadata/1.metadata.json"],
        "modified_before_ms": 1000, "metadata_folders": ["s3://b/t/metadata/"],
    });
    let store = Store::new(Properties::new()).unwrap();
    let (asked, cancel) = (asked.to_string(), Cancel::default());
    let work = orphans(&store, listing, &asked, &cancel);
    let found = runtime().unwrap().block_on(work)?;
    Ok(found.into_iter().map(|each| each.location).collect())
}

#[test]
fn an_orphan_is_old_and_reached_by_nothing() {
    let listing = [
        listed("s3://b/t/data/in%20use.parquet", Some(0)),
        listed("s3://b/t//data/in use.parquet", Some(0)),
        listed("s3://b/t/data/.in use.parquet.crc", Some(0)),
        listed("s3://b/t/data/.gone.parquet.crc", Some(0)),
        listed("s3://b/t/data/old.parquet", Some(999)),
        listed("s3://b/t/data/new.parquet", Some(1000)),
        listed("s3://b/t/data/timeless.parquet", None),
        listed("s3://b/t/metadata/0.metadata.json", Some(0)),
        listed("s3://b/t/metadata/1.metadata.json", Some(0)),
    ];
    let expected =
        ["s3://b/t/data/.gone.parquet.crc", "s3://b/t/data/old.parquet", "s3://b/t/metadata/0.metadata.json"];
    assert_eq!(found(&listing).unwrap(), expected);
}

#[test]
fn another_tables_metadata_is_an_alarm() {
    let listing = [listed("s3://b/t/other/metadata/v1.metadata.json", Some(5000))];
    assert_eq!(found(&listing).unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn places_do_not_depend_on_spelling() {
    let mut places = Places::default();
    places.insert("s3n://b/t/x y");
    assert!(places.hold("s3://b/t//x%20y/"));
    assert!(!places.hold("s3://b/t/x"));
}
