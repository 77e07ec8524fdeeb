//! A code is brought: by one who has proved a key, before anything else is heard of them.

use std::sync::Arc;

use crate::model::grant::Key;
use crate::model::id::GrantId;
use crate::model::intent::{Refusal, RefusalCode};
use crate::server::core::Input;
use crate::server::session::Shared;
use crate::trust::handshake::Peer;
use crate::wire::Hello;

/// Redeems an invite for the key that the handshake proved. Of many at once one wins: `decide` is alone.
pub async fn redeem(shared: Arc<Shared>, peer: Option<Peer>, hello: &Hello, secret: &str) -> Result<(), Refusal> {
    let refuse = |why: &str| Refusal::new(RefusalCode::Forbidden, why);
    let peer = peer.ok_or_else(|| refuse("an invite is redeemed for a key, and none was proved: begin with the handshake"))?;
    let secret = secret_of(secret).ok_or_else(|| refuse("this is no invite's secret"))?;
    let names: Vec<Arc<str>> = shared.gate.names();
    let (key, name) = (Key::of(peer.key.bytes()), hello.name.clone());
    let input = Input::Redeem { code: GrantId::of_code(&secret), who: peer.role.who(), key, name, names };
    shared.core.write(input).await.map(|_| ())
}

fn secret_of(text: &str) -> Option<[u8; 16]> {
    text.parse::<GrantId>().ok().map(|secret| secret.0)
}
