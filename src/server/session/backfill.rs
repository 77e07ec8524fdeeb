//! A peer asks for what it missed of this log: a slice at a time, by sequence, signed as it would have been then.

use super::Session;
use super::sight::Asked;
use super::stream::{seals_of, shown_of};
use super::wire::Said;
use crate::server::resume::{BYTES, ROWS, seal};
use crate::store::StoreError;
use crate::wire::{Backfill, BackfillAsk, ProblemCode, ToClient};

impl Session {
    pub(super) async fn backfill(&mut self, ask: BackfillAsk, asked: Asked) -> Said {
        self.tell_lease().await?;
        let house = self.wire.house.clone();
        let relays = house.replica().is_some();
        let until = ask.until.min(house.log.head().sequence);
        let found = async {
            let mut rows = house.log.held(ask.after.next(), until, ROWS, BYTES).await?;
            if relays {
                seal(&*house.log, &mut rows).await?;
            }
            Ok::<_, StoreError>(rows)
        };
        let rows = match found.await {
            Ok(rows) => rows,
            Err(error) => return self.wire.problem(ProblemCode::Unavailable, Some(ask.id), error.to_string()).await,
        };
        if !self.still_shows(&asked).await? {
            return self.anew(asked).await;
        }
        // Nothing any more: the rest of it is known.
        let to = rows.last().map_or(ask.until, |row| row.sequence);
        let shown = shown_of(&rows, asked.lens.as_deref(), relays);
        let signer = self.wire.shared.gate.signer().filter(|_| !relays && self.passes_on());
        let (events, seals, outlines) = seals_of(shown, signer).await;
        self.wire.say(&ToClient::Backfilled(Backfill { id: ask.id, to, events, seals, outlines })).await
    }
}
