//! Conforming: what is taken, what is refused.
