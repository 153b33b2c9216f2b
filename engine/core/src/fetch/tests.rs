//! Pinned reads against a scripted server and a file.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::error::Kind;
use crate::runtime::runtime;
use crate::store::scripted::{Reply, Request, Server, Then};
use crate::store::{Properties, Store};

const MIB: u64 = 1 << 20;

fn data(length: u64) -> Vec<u8> {
    (0..length).map(|value| (value * 31 % 253) as u8).collect()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    runtime().unwrap().block_on(work)
}

fn of(server: &Server, size: Option<u64>) -> PinnedObject {
    PinnedObject::new(server.store(), "s3://bucket/key", size)
}

fn serve(bytes: Vec<u8>) -> Server {
    Server::start(move |request| Reply::object(request, &bytes, "\"v1\""))
}

fn slices(ranges: &[Range<u64>], data: &[u8]) -> Vec<Vec<u8>> {
    ranges.iter().map(|range| data[range.start as usize..range.end as usize].to_vec()).collect()
}

#[test]
fn suffixes_take_one_request() {
    let server = serve(data(1000));
    for size in [None, Some(1000)] {
        let object = of(&server, size);
        let (tail, total) = wait(object.read_suffix(64)).unwrap();
        assert_eq!((tail.as_ref(), total, object.size()), (&data(1000)[936..], 1000, Some(1000)));
        let (all, total) = wait(of(&server, size).read_suffix(5000)).unwrap();
        assert_eq!((all.len(), total), (1000, 1000));
    }
    let ranges: Vec<_> = server.requests().iter().map(|request| request.header("range").to_owned()).collect();
    // Of known size it is small enough to come whole.
    assert_eq!(ranges, ["bytes=-64", "bytes=-5000", "bytes=0-999", "bytes=0-999"]);
    assert!(server.requests().iter().all(|request| request.method == "GET"));
    let empty = serve(Vec::new());
    assert_eq!(wait(of(&empty, None).read_suffix(8)).unwrap(), (bytes::Bytes::new(), 0));
    assert_eq!(wait(of(&empty, Some(0)).read_suffix(8)).unwrap(), (bytes::Bytes::new(), 0));
}

#[test]
fn a_small_object_takes_one_request_in_all() {
    let bytes = data(MIB);
    for size in [None, Some(MIB)] {
        let server = serve(bytes.clone());
        let object = of(&server, size);
        let suffix = if size.is_some() { 64 << 10 } else { 2 * MIB };
        let (tail, _) = wait(object.read_suffix(suffix)).unwrap();
        assert_eq!(tail, bytes[(MIB - suffix.min(MIB)) as usize..]);
        let ranges = [5..900, MIB - 3..MIB, 7..7, 0..MIB];
        let read = wait(object.clone().read_ranges(&ranges)).unwrap();
        assert!(read.iter().zip(slices(&ranges, &bytes)).all(|(found, expected)| found == &expected));
        assert_eq!(
            wait(object.read_suffix(8)).unwrap(),
            (bytes::Bytes::copy_from_slice(&bytes[bytes.len() - 8..]), MIB)
        );
        assert_eq!(wait(object.read_range(0..MIB + 1)).unwrap_err().kind(), Kind::Storage);
        assert_eq!(server.requests().len(), 1);
    }
    let server = serve(data(5 * MIB));
    let object = of(&server, Some(5 * MIB));
    wait(object.read_suffix(64)).unwrap();
    wait(object.read_range(0..10)).unwrap();
    assert_eq!(server.requests().len(), 2, "too large to come whole");
    let object = of(&server, Some(5 * MIB)).with_whole_bytes(8 * MIB);
    wait(object.read_suffix(64)).unwrap();
    wait(object.read_range(0..10)).unwrap();
    assert_eq!(server.requests().len(), 3, "unless its reader says so");
}

#[test]
fn what_small_objects_hold_is_bounded() {
    let server = serve(data(MIB));
    let fetcher = Fetcher::default();
    let objects: Vec<_> = (0..257).map(|_| of(&server, Some(MIB)).with_fetcher(fetcher.clone())).collect();
    let read = |object: &PinnedObject| wait(object.read_suffix(8)).unwrap();
    objects.iter().for_each(|object| drop(read(object)));
    let requests = server.requests();
    assert_eq!(
        (requests[255].header("range"), requests[256].header("range")),
        ("bytes=0-1048575", "bytes=1048568-1048575")
    );
    drop(objects);
    let object = of(&server, Some(MIB)).with_fetcher(fetcher);
    read(&object);
    read(&object);
    assert_eq!(server.requests().len(), 258, "what was dropped may be kept anew");
}

#[test]
fn ranges_are_coalesced_cut_and_not_copied() {
    let bytes = data(40 * MIB);
    let server = serve(bytes.clone());
    let ranges = [100..200, 0..50, 60..60, 30 * MIB..40 * MIB, 3 * MIB..29 * MIB, 150..MIB];
    let object = of(&server, Some(40 * MIB)).with_fetcher(Fetcher::new(Budget::new(8 * MIB), 3));
    let read = wait(object.read_ranges(&ranges)).unwrap();
    assert!(read.iter().zip(slices(&ranges, &bytes)).all(|(found, expected)| found == &expected));
    // One for the three neighbours, three for the long one, one for the last.
    let mut asked: Vec<_> = server.requests().iter().map(|request| request.range(usize::MAX)).collect();
    asked.sort_by_key(|range| range.start);
    let lengths: Vec<_> = asked.iter().map(|range| range.len() as u64).collect();
    assert_eq!(lengths[0], MIB);
    assert_eq!((lengths[1..4].iter().sum::<u64>(), lengths[4], lengths.len()), (26 * MIB, 10 * MIB, 5));
    assert_eq!(read[0].as_ptr() as usize, read[1].as_ptr() as usize + 100, "slices of one buffer");
    let counters = &object.fetcher().counters;
    assert_eq!((counters.requests(), counters.retries(), counters.bytes()), (5, 0, 37 * MIB));
    assert!(counters.wall() > Duration::ZERO);
}

#[test]
fn concurrency_and_budget_are_bounded() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, peak) = (Arc::clone(&now), Arc::clone(&most));
    let bytes = data(64 * MIB);
    let server = Server::start(move |request: &Request| {
        peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(10));
        inside.fetch_sub(1, Ordering::SeqCst);
        Reply::object(request, &bytes, "\"v1\"")
    });
    let ranges: Vec<_> = (0..16).map(|index| index * 4 * MIB..index * 4 * MIB + 100).collect();
    let object = of(&server, Some(64 * MIB)).with_fetcher(Fetcher::new(Budget::new(MIB), 1));
    assert_eq!(wait(object.read_ranges(&ranges)).unwrap().len(), 16);
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(object.fetcher().budget.available(), MIB, "everything was given back");
}

#[test]
fn every_answer_is_of_one_version() {
    for honours_if_match in [true, false] {
        let server = Server::start(move |request| {
            let mut request = request.clone();
            if !honours_if_match {
                request.headers.remove("if-match");
            }
            Reply::object(&request, &data(1000), if request.index == 0 { "\"v1\"" } else { "\"v2\"" })
        });
        let object = of(&server, Some(1000));
        wait(object.read_range(0..10)).unwrap();
        let error = wait(object.read_range(10..20)).unwrap_err();
        assert_eq!(
            (error.kind(), error.location(), error.byte_range()),
            (Kind::ObjectChanged, Some("s3://bucket/key"), Some(10..20))
        );
        assert_eq!(server.requests()[1].header("if-match"), "\"v1\"");
    }
    let error = wait(of(&serve(data(1000)), Some(2000)).read_suffix(8)).unwrap_err();
    assert_eq!(error.kind(), Kind::ObjectChanged, "shorter than the metadata says: {error}");
    let error = wait(of(&serve(data(1000)), Some(900)).read_suffix(8)).unwrap_err();
    assert_eq!(error.kind(), Kind::ObjectChanged, "longer than the metadata says: {error}");
}

#[test]
fn faults_in_some_requests_leave_exact_bytes() {
    let bytes = data(48 * MIB);
    let copy = bytes.clone();
    let server = Server::start(move |request| match request.index % 5 {
        0 => Reply::refusal(503, "SlowDown"),
        2 => Reply::object(request, &copy, "\"v1\"").cut(MIB as usize / 2, Then::Reset),
        _ => Reply::object(request, &copy, "\"v1\""),
    });
    let object = of(&server, Some(48 * MIB));
    let ranges = [0..20 * MIB, 24 * MIB..25 * MIB, 28 * MIB..48 * MIB];
    let read = wait(object.read_ranges(&ranges)).unwrap();
    assert!(read.iter().zip(slices(&ranges, &bytes)).all(|(found, expected)| found == &expected));
    assert!(object.fetcher().counters.retries() > 0);
}

#[test]
fn ranges_beyond_the_object_are_refused_unasked() {
    let server = serve(data(1000));
    let object = of(&server, Some(1000));
    for range in [990..1001, u64::MAX - 1..u64::MAX] {
        assert_eq!(wait(object.read_range(range)).unwrap_err().kind(), Kind::Storage);
    }
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 20..10;
    assert_eq!(wait(object.read_range(reversed)).unwrap_err().kind(), Kind::Storage);
    assert_eq!(server.requests().len(), 0);
    let unknown = of(&server, None);
    assert_eq!(wait(unknown.read_range(0..1 << 60)).unwrap_err().kind(), Kind::MemoryLimit);
    assert_eq!(wait(unknown.read_range(990..1001)).unwrap_err().kind(), Kind::ObjectChanged);
}

#[test]
fn a_file_that_is_replaced_is_noticed() {
    let path = std::env::temp_dir().join(format!("headrace-pin-{}", std::process::id()));
    let bytes = data(20 * MIB);
    std::fs::write(&path, &bytes).unwrap();
    let object = PinnedObject::new(Store::new(Properties::new()).unwrap(), path.to_str().unwrap(), None);
    let (tail, size) = wait(object.read_suffix(8)).unwrap();
    assert_eq!((tail.as_ref(), size), (&bytes[bytes.len() - 8..], 20 * MIB));
    let ranges = [0..18 * MIB, 19 * MIB + 1..19 * MIB + 2, 5..7];
    assert!(wait(object.read_ranges(&ranges)).unwrap().iter().zip(slices(&ranges, &bytes)).all(|(a, b)| a == &b));
    let other = path.with_extension("new");
    std::fs::write(&other, &bytes).unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(wait(object.read_range(0..1)).unwrap_err().kind(), Kind::ObjectChanged);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_request_larger_than_the_budget_goes_alone() {
    let budget = Budget::new(10_000);
    wait(async {
        let small = budget.acquire(4096).await.unwrap();
        let large = tokio::spawn({
            let budget = budget.clone();
            async move { budget.acquire(u64::MAX).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!large.is_finished());
        drop(small);
        let large = large.await.unwrap();
        assert_eq!(budget.available(), 0);
        drop(large);
        budget.acquire(1).await.unwrap();
    });
}
