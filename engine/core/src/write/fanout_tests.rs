//! Fan-out against a plain model.
