//! Networks of engines under virtual time.
