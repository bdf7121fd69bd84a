//! The verdicts on pods.
