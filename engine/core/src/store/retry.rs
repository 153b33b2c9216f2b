//! When to ask again: jittered exponential backoff, bounded in attempts and in time.
//!
//! Whoever talks to a store says what failed and whether asking again may help ([`Failure`]); [`Retry`] waits, or makes
//! the final error. Must not know: HTTP, S3.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind};

/// Bounds of one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Requests in all, the first included.
    pub attempts: u32,
    /// No further attempt begins after this.
    pub total: Duration,
    /// The same, while the endpoint was never reached: it is likely a wrong address.
    pub total_unconnected: Duration,
    /// The same, while the endpoint takes connections but never answered.
    pub total_unanswered: Duration,
    pub first_wait: Duration,
    pub longest_wait: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            attempts: 10,
            total: Duration::from_secs(60),
            total_unconnected: Duration::from_secs(3),
            total_unanswered: Duration::from_secs(15),
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(5),
        }
    }
}

/// Why another attempt may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// There was no connection.
    Connect,
    /// The store asked for patience, perhaps for this long.
    Throttled(Option<Duration>),
    /// A fault that passes: 5xx, a reset, a stall, a short or wrong answer.
    Transient,
}

/// A failed attempt.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub kind: Kind,
    pub message: String,
    pub hint: Option<String>,
    /// None: asking again cannot help.
    pub again: Option<Again>,
}

impl Failure {
    /// One that asking again cannot mend.
    pub(crate) fn lasting(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), hint: None, again: None }
    }

    /// One that may pass.
    pub(crate) fn passing(kind: Kind, again: Again, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), hint: None, again: Some(again) }
    }

    /// The same, but asking again may mend it.
    pub(crate) fn may_pass(self) -> Failure {
        Failure { again: Some(Again::Transient), ..self }
    }

    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let error = Error::new(failure.kind, failure.message);
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            kind: error.kind(),
            message: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
            again: None,
        }
    }
}

/// The attempts of one operation.
pub(crate) struct Retry {
    policy: Policy,
    began: Instant,
    attempts: u32,
}

impl Retry {
    /// Before the first attempt.
    pub(crate) fn new(policy: Policy) -> Retry {
        Retry { policy, began: Instant::now(), attempts: 0 }
    }

    /// A good part of the bytes came before the failure: the bounds start anew for the rest.
    pub(crate) fn progress(&mut self) {
        self.began = Instant::now();
        self.attempts = 0;
    }

    /// After a failed attempt: waits and returns, or gives up with the final error. `reached`: the endpoint has answered
    /// before.
    pub(crate) async fn pause(&mut self, failure: Failure, reached: bool) -> Result<(), Error> {
        self.attempts += 1;
        let Some(again) = failure.again else { return Err(failure.into()) };
        let total = match again {
            _ if reached => self.policy.total,
            Again::Connect => self.policy.total_unconnected,
            _ => self.policy.total_unanswered,
        };
        let wait = self.wait(again);
        if self.attempts >= self.policy.attempts || self.began.elapsed() + wait > total {
            return Err(self.give_up(failure));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn wait(&self, again: Again) -> Duration {
        let doubled = self.policy.first_wait.saturating_mul(1 << (self.attempts - 1).min(16));
        let most = doubled.min(self.policy.longest_wait);
        match again {
            // Full jitter spreads the many requests of one load; throttling keeps half of the wait.
            Again::Connect | Again::Transient => most.mul_f64(rand::random::<f64>()),
            Again::Throttled(asked) => most
                .mul_f64(0.5 + 0.5 * rand::random::<f64>())
                .max(asked.unwrap_or_default().min(Duration::from_secs(10))),
        }
    }

    fn give_up(&self, failure: Failure) -> Error {
        let (attempts, seconds) = (self.attempts, self.began.elapsed().as_secs_f64());
        let times = if attempts == 1 { "attempt" } else { "attempts" };
        let message = format!("{} (gave up after {attempts} {times} in {seconds:.1} s)", failure.message);
        Failure { message, ..failure }.into()
    }
}
