//! Traders who offer to each other: one offers to all by `common`, two accept at once by the
//! offerer's own name, and the offerer closes the offer for all.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::programs::Talks;

/// The names of the traders, of whom the first offers.
pub const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// An offer of the first of three or four traders, called as in [`NAMES`].
///
/// # Errors
/// When a trader does not get it, or it is not given to exactly one.
pub async fn accepted_and_closed(traders: &mut [impl Talks]) -> Result<()> {
    let text = "1 BTC for 60000 USD";
    traders[0].tell(json!({ "do": "offer", "id": "offer-1", "text": text })).await?;
    for trader in &mut *traders {
        let offered = trader.event("offered").await?;
        ensure!(offered["maker"] == "trader:alice" && offered["text"] == text, "{offered}");
    }
    // Two accept at once; the offerer gives it to one of them.
    traders[1].tell(json!({ "do": "accept", "id": "offer-1" })).await?;
    traders[2].tell(json!({ "do": "accept", "id": "offer-1" })).await?;
    let bobs = traders[1].event("accepted").await?;
    let carols = traders[2].event("accepted").await?;
    let is = |answer: &Value, result: Value, error: Value| {
        answer["result"] == result && answer["error"] == error
    };
    let given = |answer: &Value| is(answer, json!("yours"), Value::Null);
    let closed = |answer: &Value| is(answer, Value::Null, json!("ERR_OFFER_CLOSED"));
    let winner = match (&bobs, &carols) {
        (bobs, carols) if given(bobs) && closed(carols) => "trader:bob",
        (bobs, carols) if closed(bobs) && given(carols) => "trader:carol",
        _ => bail!("bob got {bobs}, carol got {carols}"),
    };
    for trader in &mut *traders {
        let told = trader.event("closed").await?;
        ensure!(told["taker"] == winner, "{told}, and not {winner}");
    }
    for kind in ["offer", "close"] {
        let broadcast = traders[0].event("broadcast").await?;
        let all = json!(vec!["seen"; traders.len()]);
        ensure!(broadcast["type"] == kind && broadcast["answers"] == all, "{broadcast}");
    }
    Ok(())
}
