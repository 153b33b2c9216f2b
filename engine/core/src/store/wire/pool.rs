//! Idle connections, by origin: the last one used first, the old and the surplus ones closed.
//!
//! Must not know: what goes over them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connect::Origin;
use super::connection::Connection;

/// S3 closes idle connections after about as long.
const LONGEST_IDLE: Duration = Duration::from_secs(20);
/// Connections that are kept for one origin: as many as requests at a time.
const MOST_IDLE: usize = 64;

/// Connections with the moment since when they have been idle, the last one at the end.
type Kept = Vec<(Connection, Instant)>;

/// Connections that wait for the next request.
#[derive(Default)]
pub(crate) struct Idle(Mutex<HashMap<Arc<Origin>, Kept>>);

impl Idle {
    /// A connection that was still open a moment ago.
    pub(crate) fn take(&self, origin: &Arc<Origin>) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(origin)?;
        while let Some((connection, since)) = kept.pop() {
            if since.elapsed() < LONGEST_IDLE && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(crate) fn give(&self, origin: &Arc<Origin>, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(Arc::clone(origin)).or_default();
        kept.retain(|(_, since)| since.elapsed() < LONGEST_IDLE);
        if kept.len() < MOST_IDLE {
            kept.push((connection, Instant::now()));
        }
    }
}
