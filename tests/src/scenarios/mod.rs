//! What several services do together, wherever they run, and what must come of it.
//!
//! | module | who |
//! |---|---|
//! | [`offers`] | traders who offer to each other (`trader.js`) |
//! | [`exchange`] | clients of an exchange, each with an order book (`exchange_client.js`) |

pub mod exchange;
pub mod offers;
