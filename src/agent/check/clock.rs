//! How far this machine's clock is from a time server's: one question of SNTP (RFC 4330).

use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;

use super::{Context, Outcome, metric, threshold};
use crate::model::severity::Status;
use crate::model::time::{Span, Time};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockOffset {
    /// The time server: `ntp.example.org:123`.
    #[serde(deserialize_with = "super::tcp::address")]
    pub server: String,
    #[serde(default = "half_a_second")]
    pub warning: Span,
    #[serde(default = "five_seconds")]
    pub critical: Span,
}

fn half_a_second() -> Span {
    Span::from_millis(500)
}

fn five_seconds() -> Span {
    Span::from_secs(5)
}

/// What one question tells, in microseconds. Positive: this machine's clock is behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset {
    pub offset: i64,
    pub round_trip: i64,
}

pub async fn run(check: &ClockOffset, context: &Context) -> Outcome {
    match ask(check, context).await {
        Ok(offset) => judge(check, offset),
        Err(why) => Outcome::unknown(format!("the time server {} {why}", check.server)),
    }
}

async fn ask(check: &ClockOffset, context: &Context) -> Result<Offset, String> {
    let failed = |error: std::io::Error| super::tcp::refusal(&error);
    let server = tokio::net::lookup_host(&check.server).await.map_err(failed)?.next().ok_or("has no address")?;
    let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    let sent = context.now();
    let question = question(sent);
    socket.send(&question).await.map_err(failed)?;
    let mut answer = [0_u8; 512];
    loop {
        let length = socket.recv(&mut answer).await.map_err(failed)?;
        let received = context.now();
        match answer.get(..length).map(|answer| read(answer, &question, sent, received)) {
            // Late answers to older questions, and forgeries, are passed over.
            Some(Ok(None)) | None => {}
            Some(Ok(Some(offset))) => return Ok(offset),
            Some(Err(why)) => return Err(why.to_owned()),
        }
    }
}

fn judge(check: &ClockOffset, measured: Offset) -> Outcome {
    let off = Span::from_micros(measured.offset.saturating_abs());
    #[allow(clippy::cast_precision_loss, reason = "a number for people")]
    let seconds = |micros: i64| micros as f64 / 1e6;
    let way = if measured.offset > 0 { "behind" } else { "ahead of" };
    let status = threshold::status(off > check.warning, off > check.critical);
    let shown = if off < Span::from_secs(10) { format!("{} ms", off.micros() / 1_000) } else { off.to_string() };
    let mut number = metric("offset", seconds(measured.offset), "s");
    // It may be off either way.
    let range = |limit: Span| format!("{}:{}", -seconds(limit.micros()), seconds(limit.micros()));
    (number.warning, number.critical) = (range(check.warning).into(), range(check.critical).into());
    let words = format!("the clock is {shown} {way} {}", check.server);
    let words = if status == Status::Ok { words } else { format!("{words}: is a time service running? see `timedatectl`") };
    Outcome::new(status, words).with(vec![number, metric("round_trip", seconds(measured.round_trip), "s")])
}

/// Version 4, mode 3 (client); our own time stands where the server's answer will repeat it.
fn question(sent: Time) -> [u8; 48] {
    let mut packet = [0_u8; 48];
    if let Some(first) = packet.first_mut() {
        *first = 0x23;
    }
    if let Some(transmit) = packet.get_mut(40..48) {
        transmit.copy_from_slice(&to_ntp(sent).to_be_bytes());
    }
    packet
}

/// Reads an answer. Nothing: it is no answer to our question. An error: the server cannot tell the time.
fn read(answer: &[u8], question: &[u8; 48], sent: Time, received: Time) -> Result<Option<Offset>, &'static str> {
    let field = |at: usize| answer.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    let (Some(&head), Some(&stratum), Some(server_received), Some(server_sent)) = (answer.first(), answer.get(1), field(32), field(40)) else {
        return Ok(None);
    };
    if answer.get(24..32) != question.get(40..48) || head & 7 != 4 {
        return Ok(None);
    }
    if stratum == 0 {
        return Err("asks us not to ask (a kiss of death): name another one");
    }
    if head >> 6 == 3 || stratum > 15 || server_sent == 0 {
        return Err("does not know the time itself");
    }
    let near = received;
    Ok(Some(offset(sent, from_ntp(server_received, near), from_ntp(server_sent, near), received)))
}

/// RFC 4330, section 5: the mean of both ways' differences, which cancels a delay that is the same on both.
pub fn offset(sent: Time, server_received: Time, server_sent: Time, received: Time) -> Offset {
    let difference = |a: Time, b: Time| a.micros().saturating_sub(b.micros());
    Offset {
        offset: difference(server_received, sent).saturating_add(difference(server_sent, received)) / 2,
        round_trip: difference(received, sent).saturating_sub(difference(server_sent, server_received)),
    }
}

/// From 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;
/// NTP's seconds start anew every 2^32, the first time in February 2036.
const ERA: i64 = 1 << 32;

fn to_ntp(time: Time) -> u64 {
    let seconds = (time.secs() + EPOCH).rem_euclid(ERA).unsigned_abs();
    let micros = time.micros().rem_euclid(1_000_000).unsigned_abs();
    (seconds << 32) | ((micros << 32) / 1_000_000)
}

/// In the era that brings it nearest to `near`.
fn from_ntp(stamp: u64, near: Time) -> Time {
    let seconds = i64::try_from(stamp >> 32).unwrap_or(0) - EPOCH;
    let micros = i64::try_from(((stamp & 0xffff_ffff) * 1_000_000 + (1 << 31)) >> 32).unwrap_or(0);
    let eras = (near.secs() - seconds + ERA / 2).div_euclid(ERA);
    Time::from_micros((seconds + eras * ERA) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_delays_cancel_out() {
        let at = Time::from_micros;
        // Ours is 100 behind, 20 there, 20 back, 5 in between.
        assert_eq!(offset(at(1_000), at(1_120), at(1_125), at(1_045)), Offset { offset: 100, round_trip: 40 });
        assert_eq!(offset(at(1_000), at(920), at(925), at(1_045)), Offset { offset: -100, round_trip: 40 });
    }

    #[test]
    fn stamps_survive_the_change_of_era() {
        for secs in [0, 1_795_000_000, 2_085_978_495, 2_085_978_496, 4_000_000_000] {
            let time = Time::from_micros(secs * 1_000_000 + 123_456);
            for skew in [-1_000_000_000, 0, 1_000_000_000] {
                assert_eq!(from_ntp(to_ntp(time), Time::from_secs(secs + skew)), time);
            }
        }
    }

    /// A time server that is `ahead` microseconds ahead and answers with this stratum.
    async fn server(ahead: i64, stratum: u8) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut packet = [0_u8; 48];
            let (_, from) = socket.recv_from(&mut packet).await.unwrap();
            let now = Time::from_micros(Time::from(jiff::Timestamp::now()).micros() + ahead);
            let mut answer = [0_u8; 48];
            (answer[0], answer[1]) = (0x24, stratum);
            socket.send_to(&answer, from).await.unwrap();
            answer[24..32].copy_from_slice(&packet[40..48]);
            answer[32..40].copy_from_slice(&to_ntp(now).to_be_bytes());
            answer[40..48].copy_from_slice(&to_ntp(now).to_be_bytes());
            socket.send_to(&answer, from).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn a_server_that_is_right_or_ahead_or_does_not_know() {
        let context = super::super::test_context(10_000);
        for (ahead, stratum, status) in
            [(0, 2, Status::Ok), (2_000_000, 2, Status::Warning), (-60_000_000, 2, Status::Critical), (0, 0, Status::Unknown), (0, 16, Status::Unknown)]
        {
            let check = ClockOffset { server: server(ahead, stratum).await, warning: half_a_second(), critical: five_seconds() };
            let outcome = run(&check, &context).await;
            assert_eq!(outcome.status, status, "{}", outcome.text);
        }
    }
}
