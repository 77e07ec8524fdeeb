//! What is said in many bytes goes out in many frames. A socket's buffer stays for ever as large as the largest frame
//! that went through it: a world in one frame would be held once more for each console, for as long as it is there.
//! And a slow line is given patience for each of them, instead of for all together.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// Bytes of a frame.
const FRAME: usize = 4 << 10;

/// Whether a message goes out in one frame.
pub(super) fn is_short(message: &Message) -> bool {
    message.len() <= FRAME
}

/// The frames of one message, in order.
pub(super) struct Frames {
    whole: Option<Message>,
    /// What is left of a long one, and as what its next frame goes out.
    rest: Bytes,
    kind: Data,
}

impl Frames {
    pub(super) fn of(message: Message) -> Frames {
        let (kind, rest) = match message {
            Message::Binary(bytes) if bytes.len() > FRAME => (Data::Binary, bytes),
            Message::Text(text) if text.len() > FRAME => (Data::Text, text.into()),
            short => return Frames { whole: Some(short), rest: Bytes::new(), kind: Data::Continue },
        };
        Frames { whole: None, rest, kind }
    }
}

impl Iterator for Frames {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        if let Some(whole) = self.whole.take() {
            return Some(whole);
        }
        if self.rest.is_empty() {
            return None;
        }
        let part = self.rest.split_to(FRAME.min(self.rest.len()));
        let kind = std::mem::replace(&mut self.kind, Data::Continue);
        Some(Message::Frame(Frame::message(part, OpCode::Data(kind), self.rest.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use proptest::prelude::*;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Law: whoever reads them has the message, and none of them is large.
        #[test]
        fn a_message_in_frames_is_the_message(text in any::<bool>(), letters in proptest::collection::vec("[a-zäß日]{1,9}", 0..4_000), cut in 0_usize..12_000) {
            let mut said = letters.concat();
            said.truncate((0..=cut.min(said.len())).rev().find(|at| said.is_char_boundary(*at)).unwrap());
            let message = if text { Message::text(said) } else { Message::binary(said.into_bytes()) };
            let frames: Vec<Message> = Frames::of(message.clone()).collect();
            for frame in &frames {
                // With what stands before it.
                prop_assert!(frame.len() <= FRAME + 4);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(async {
                let (here, there) = tokio::io::duplex(1 << 20);
                let mut writes = WebSocketStream::from_raw_socket(here, Role::Server, None).await;
                let mut reads = WebSocketStream::from_raw_socket(there, Role::Client, None).await;
                for frame in frames {
                    writes.feed(frame).await.unwrap();
                }
                writes.flush().await.unwrap();
                reads.next().await.unwrap().unwrap()
            });
            prop_assert_eq!(read, message);
        }
    }
}
