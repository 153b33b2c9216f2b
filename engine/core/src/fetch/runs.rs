//! Ranges -> runs: which neighbours are fetched in one request, and where a long run is cut.
//!
//! Pure. Every range lies in exactly one run, so its bytes are a slice of that run's buffer.

use std::ops::Range;

/// Neighbours closer than this are fetched together: a request costs about as much as 1 MiB of transfer.
pub(crate) const LARGEST_GAP: u64 = 1 << 20;
/// Runs do not grow beyond this by joining neighbours.
pub(crate) const LONGEST_RUN: u64 = 16 << 20;
/// A single range longer than [`LONGEST_RUN`] is cut into parts of at most this.
const LONGEST_PART: u64 = 12 << 20;
/// A run of a local file is cut into parts of at most this: copies out of the page cache, on several cores.
const LONGEST_LOCAL_PART: u64 = 4 << 20;

/// Bytes that are fetched into one buffer, and the ranges (by index) that lie in them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub range: Range<u64>,
    pub members: Vec<usize>,
}

/// Joins ranges, which may come in any order and overlap; empty ones belong to no run.
pub(crate) fn join(ranges: &[Range<u64>]) -> Vec<Run> {
    let mut order: Vec<usize> = (0..ranges.len()).filter(|&index| ranges[index].start < ranges[index].end).collect();
    order.sort_unstable_by_key(|&index| (ranges[index].start, ranges[index].end));
    let mut runs: Vec<Run> = Vec::new();
    for index in order {
        let range = &ranges[index];
        match runs.last_mut() {
            Some(run) if belongs(&run.range, range) => {
                run.range.end = run.range.end.max(range.end);
                run.members.push(index);
            }
            _ => runs.push(Run { range: range.clone(), members: vec![index] }),
        }
    }
    runs
}

fn belongs(run: &Range<u64>, next: &Range<u64>) -> bool {
    let near = next.start.saturating_sub(run.end) <= LARGEST_GAP && next.end - run.start <= LONGEST_RUN;
    next.start < run.end || near
}

/// Cuts a run into parts of about equal length, so that they can be fetched at the same time.
pub(crate) fn cut(run: &Range<u64>) -> Vec<Range<u64>> {
    let length = run.end - run.start;
    if length <= LONGEST_RUN {
        return vec![run.clone()];
    }
    divide(run, length.div_ceil(LONGEST_PART))
}

/// The same for a file of this machine.
pub(crate) fn cut_local(run: &Range<u64>) -> Vec<Range<u64>> {
    divide(run, (run.end - run.start).div_ceil(LONGEST_LOCAL_PART))
}

fn divide(run: &Range<u64>, count: u64) -> Vec<Range<u64>> {
    let length = run.end - run.start;
    let at = |index: u64| run.start + length / count * index + (length % count).min(index);
    (0..count).map(|index| at(index)..at(index + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn neighbours_are_joined_up_to_a_bound() {
        let ranges = [5 * MIB..6 * MIB, 0..MIB, 7..7, 2 * MIB..3 * MIB, 5 * MIB + 9..5 * MIB + 10, 40 * MIB..41 * MIB];
        let runs = join(&ranges);
        assert_eq!(
            runs,
            [
                Run { range: 0..3 * MIB, members: vec![1, 3] },
                Run { range: 5 * MIB..6 * MIB, members: vec![0, 4] },
                Run { range: 40 * MIB..41 * MIB, members: vec![5] },
            ]
        );
        let many: Vec<_> = (0..10).map(|index| index * 5 * MIB..(index + 1) * 5 * MIB).collect();
        assert!(join(&many).iter().all(|run| run.range.end - run.range.start == 15 * MIB || run.members == [9]));
    }

    #[test]
    fn parts_cover_a_run() {
        for length in [1, 16 * MIB, 16 * MIB + 1, 100 * MIB + 13] {
            let parts = cut(&(7..7 + length));
            assert_eq!((parts[0].start, parts.last().unwrap().end), (7, 7 + length));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(parts.iter().all(|part| part.end - part.start <= LONGEST_RUN));
        }
    }
}
