//! Placeholder of the skeleton commit; replaced within the session.

pub mod filter;
