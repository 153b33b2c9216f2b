//! How many requests are under way: found by trying, within bounds.
//!
//! One more connection helps until the network, the store or this machine is full, and which of them is full first
//! differs by a factor of ten between a laptop and a large instance. So the limit climbs while the bytes per second
//! climb, settles where they do not, tries again now and then, and halves when the store asks to slow down. Must not know:
//! what a request is for, where its bytes go.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// Where it begins: S3 gives 40 to 90 MB/s to each request, so this fills a small machine's network.
const FIRST: usize = 8;
/// It does not sink below this, unless the bound is lower.
const LEAST: usize = 4;
/// A round is at least as long, or chance decides.
const SHORTEST_ROUND: Duration = Duration::from_millis(50);
/// More bytes per second by this factor mean that the last step was worth it.
const GAIN: f64 = 1.05;
/// Rounds before a settled limit is tried anew.
const ROUNDS_SETTLED: u32 = 8;

/// The limit on requests at a time, shared by all reads of a load.
#[derive(Debug)]
pub(crate) struct Pace {
    semaphore: Arc<Semaphore>,
    state: Mutex<Search>,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Turn {
    pace: Arc<Pace>,
    held: Option<OwnedSemaphorePermit>,
}

impl Pace {
    /// At most so many at a time.
    pub(crate) fn new(most: usize) -> Pace {
        let search = Search::new(most.clamp(1, 4096), Instant::now());
        Pace { semaphore: Arc::new(Semaphore::new(search.limit)), state: Mutex::new(search) }
    }

    /// Waits for a turn.
    pub(crate) async fn turn(self: &Arc<Self>) -> Result<Turn> {
        let free = Arc::clone(&self.semaphore).try_acquire_owned();
        let held = match free {
            Ok(held) => held,
            Err(_) => {
                self.search().waited = true;
                let held = Arc::clone(&self.semaphore).acquire_owned().await;
                held.map_err(|_| Error::new(Kind::Internal, "the fetcher of a load was closed"))?
            }
        };
        Ok(Turn { pace: Arc::clone(self), held: Some(held) })
    }

    /// Requests that may be under way now.
    pub(crate) fn limit(&self) -> usize {
        self.search().limit
    }

    fn search(&self) -> std::sync::MutexGuard<'_, Search> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The request ended: it brought so many bytes; `throttles` counts all answers so far that asked to slow down.
    pub(crate) fn done(&self, bytes: u64, throttles: u64) {
        let mut search = self.pace.search();
        let before = search.limit;
        search.finished(bytes, throttles, Instant::now());
        let after = search.limit;
        if after >= before {
            let grown = after - before;
            let paid = grown.min(search.owed);
            search.owed -= paid;
            self.pace.semaphore.add_permits(grown - paid);
        } else {
            search.owed += before - after;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut search = self.pace.search();
        if search.owed > 0
            && let Some(held) = self.held.take()
        {
            search.owed -= 1;
            held.forget();
        }
    }
}

/// The search for the limit. Pure: time comes in.
#[derive(Debug)]
struct Search {
    limit: usize,
    most: usize,
    /// Turns that are to be withdrawn when they end.
    owed: usize,
    /// Somebody had to wait in this round: the limit mattered.
    waited: bool,
    round: Round,
    throttles: u64,
    stage: Stage,
}

#[derive(Debug)]
struct Round {
    began: Instant,
    requests: usize,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Nothing was measured yet.
    First,
    /// The limit was raised from `from`, where bytes came at `rate`.
    Raised { from: usize, rate: f64 },
    /// No more for some rounds.
    Settled { rounds: u32 },
}

impl Search {
    fn new(most: usize, now: Instant) -> Search {
        let round = Round { began: now, requests: 0, bytes: 0 };
        Search { limit: FIRST.min(most), most, owed: 0, waited: false, round, throttles: 0, stage: Stage::First }
    }

    fn finished(&mut self, bytes: u64, throttles: u64, now: Instant) {
        self.round.requests += 1;
        self.round.bytes += bytes;
        let took = now.saturating_duration_since(self.round.began);
        let is_round = self.round.requests >= self.limit && took >= SHORTEST_ROUND;
        if throttles > self.throttles {
            // Requests of one round are refused together: that is one sign, not many.
            if is_round || !matches!(self.stage, Stage::Settled { rounds } if rounds > ROUNDS_SETTLED) {
                self.limit = (self.limit / 2).max(LEAST).min(self.limit);
            }
            self.throttles = throttles;
            self.stage = Stage::Settled { rounds: 2 * ROUNDS_SETTLED };
            self.begin(now);
        } else if is_round {
            if self.waited {
                self.judge(self.round.bytes as f64 / took.as_secs_f64());
            }
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Instant) {
        self.round = Round { began: now, requests: 0, bytes: 0 };
        self.waited = false;
    }

    fn judge(&mut self, rate: f64) {
        self.stage = match self.stage {
            Stage::Raised { from, rate: before } if rate < before * GAIN => {
                self.limit = from;
                Stage::Settled { rounds: ROUNDS_SETTLED }
            }
            Stage::Settled { rounds } if rounds > 0 => Stage::Settled { rounds: rounds - 1 },
            _ if self.limit >= self.most => Stage::Settled { rounds: ROUNDS_SETTLED },
            _ => {
                let from = self.limit;
                self.limit = (from + from.div_ceil(2)).min(self.most);
                Stage::Raised { from, rate }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rounds against a store that gives `each` bytes per second to a request, `full` in all.
    fn run(search: &mut Search, rounds: usize, each: f64, full: f64, now: &mut Instant) {
        for _ in 0..rounds {
            let rate = (each * search.limit as f64).min(full);
            let bytes = 8 << 20;
            let requests = search.limit;
            search.waited = true;
            *now += Duration::from_secs_f64((bytes * requests as u64) as f64 / rate);
            (0..requests).for_each(|_| search.finished(bytes, search.throttles, *now));
        }
    }

    #[test]
    fn it_climbs_to_what_the_network_carries_and_stays() {
        let mut now = Instant::now();
        let mut search = Search::new(64, now);
        run(&mut search, 6, 60e6, 1e12, &mut now);
        assert_eq!(search.limit, 64);
        let mut search = Search::new(64, now);
        run(&mut search, 100, 60e6, 1.2e9, &mut now);
        assert!((18..=32).contains(&search.limit), "{}", search.limit);
        let mut search = Search::new(64, now);
        run(&mut search, 100, 1e9, 1e9, &mut now);
        assert!((8..=12).contains(&search.limit), "{}", search.limit);
    }

    #[test]
    fn it_halves_once_for_requests_that_are_refused_together() {
        let mut now = Instant::now();
        let mut search = Search::new(64, now);
        run(&mut search, 6, 60e6, 1e12, &mut now);
        for throttles in 1..=10 {
            search.finished(0, throttles, now);
        }
        assert_eq!(search.limit, 32);
        run(&mut search, 8, 60e6, 1e12, &mut now);
        assert_eq!(search.limit, 32, "not raised at once");
        for _ in 0..10 {
            run(&mut search, 1, 60e6, 1e12, &mut now);
            now += SHORTEST_ROUND;
            search.round.requests = search.limit;
            search.finished(0, search.throttles + 1, now);
        }
        assert_eq!(search.limit, LEAST);
    }

    #[test]
    fn a_limit_that_nobody_waits_for_stays() {
        let mut now = Instant::now();
        let mut search = Search::new(64, now);
        for _ in 0..1000 {
            now += Duration::from_millis(100);
            search.finished(1 << 20, 0, now);
        }
        assert_eq!(search.limit, FIRST);
        assert_eq!(Search::new(1, now).limit, 1);
    }
}
