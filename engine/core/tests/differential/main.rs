//! The direct decoder against the crate's reader, on random Parquet files and random loads of them: equal types, equal
//! arrays to the last bit, and equal to what was written.
//!
//! `HEADRACE_CASES=5000` runs more; `HEADRACE_SEED=n` begins at another seed. A failure names its seed:
//! `HEADRACE_SEED=<seed> HEADRACE_CASES=1` runs that case alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../random/mod.rs"]
mod random;

mod case;
mod filters;
mod requests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::SeedableRng;
use rand::rngs::StdRng;

use case::Case;

/// Cases of each test unless the environment says otherwise: a few seconds.
const CASES: u64 = 250;
const SEED: u64 = 20_260_101;
/// A fault shows itself in many cases; as many are told.
const MOST_FAILURES: usize = 10;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// Makes a case of every seed, and compares.
fn run(make: impl Fn(&mut StdRng) -> Case) {
    let (first, cases) = (number("HEADRACE_SEED", SEED), number("HEADRACE_CASES", CASES));
    let mut failures = Vec::new();
    for seed in first..first + cases {
        let mut random = StdRng::seed_from_u64(seed);
        let made = catch_unwind(AssertUnwindSafe(|| make(&mut random)));
        let made = made.unwrap_or_else(|_| panic!("HEADRACE_SEED={seed} HEADRACE_CASES=1: the case cannot be made"));
        let found = catch_unwind(AssertUnwindSafe(|| made.check(&mut random)));
        let found = found.unwrap_or_else(|_| Err("the comparison panicked (above)".into()));
        if let Err(difference) = found {
            failures.push(format!("HEADRACE_SEED={seed} HEADRACE_CASES=1: {difference}\n{made}"));
            std::mem::forget(made); // its files stay, to be looked at
        }
        if failures.len() == MOST_FAILURES {
            break;
        }
    }
    assert!(failures.is_empty(), "{} or more cases differ\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn flat_columns() {
    run(Case::flat);
}

#[test]
fn nested_columns() {
    run(Case::nested);
}

#[test]
fn columns_that_no_arrow_writer_makes() {
    run(Case::raw);
}

#[test]
fn large_row_groups() {
    run(Case::large);
}
