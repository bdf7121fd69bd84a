//! What the tests of Grapes stand on.
