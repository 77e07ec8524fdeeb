//! The little of the ssh-agent protocol that is needed: which keys it holds, and a signature
//! (draft-ietf-sshm-ssh-agent). Every length is looked at before it is believed, and the whole exchange has a time.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::public::PublicKey;

/// As OpenSSH's own agent allows.
const LARGEST: usize = 256 << 10;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the ssh-agent at {socket} {why}")]
pub struct AgentError {
    pub socket: String,
    pub why: String,
}

/// The agent's socket, when there is one.
pub fn socket() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Whether the agent holds this key.
pub fn holds(socket: &Path, key: &PublicKey, patience: Duration) -> Result<bool, AgentError> {
    let answer = ask(socket, &[REQUEST_IDENTITIES], patience)?;
    let mut rest = body(socket, &answer, IDENTITIES)?;
    let wanted = key.blob();
    let many = number(&mut rest).ok_or_else(|| nonsense(socket))?;
    for _ in 0..many {
        let (Some(blob), Some(_comment)) = (string(&mut rest), string(&mut rest)) else { return Err(nonsense(socket)) };
        if blob == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An Ed25519 signature by the agent. What it signed is for the caller to verify.
pub(super) fn sign(socket: &Path, key: &PublicKey, data: &[u8], patience: Duration) -> Result<[u8; 64], AgentError> {
    let mut message = vec![SIGN_REQUEST];
    for part in [key.blob().as_slice(), data] {
        message.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        message.extend_from_slice(part);
    }
    // No flags.
    message.extend_from_slice(&[0; 4]);
    let answer = ask(socket, &message, patience)?;
    let mut rest = body(socket, &answer, SIGN_RESPONSE)?;
    let mut signature = string(&mut rest).ok_or_else(|| nonsense(socket))?;
    match (string(&mut signature), string(&mut signature)) {
        (Some(b"ssh-ed25519"), Some(bytes)) => bytes.try_into().map_err(|_| nonsense(socket)),
        _ => Err(nonsense(socket)),
    }
}

fn failed(socket: &Path, why: impl Into<String>) -> AgentError {
    AgentError { socket: socket.display().to_string(), why: why.into() }
}

fn nonsense(socket: &Path) -> AgentError {
    failed(socket, "answers what cannot be read")
}

/// One message there and one back.
fn ask(socket: &Path, message: &[u8], patience: Duration) -> Result<Vec<u8>, AgentError> {
    let until = Instant::now() + patience;
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => failed(socket, format!("did not answer within {} s", patience.as_secs())),
        _ => failed(socket, format!("cannot be asked: {error}")),
    };
    let mut stream = connect(socket, until).map_err(broken)?;
    stream.set_write_timeout(Some(patience)).map_err(broken)?;
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    stream.write_all(&[length.as_slice(), message].concat()).map_err(broken)?;
    let mut head = [0; 4];
    read(&mut stream, &mut head, until).map_err(broken)?;
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length == 0 || length > LARGEST {
        return Err(failed(socket, format!("wants to say {length} bytes")));
    }
    let mut answer = vec![0; length];
    read(&mut stream, &mut answer, until).map_err(broken)?;
    Ok(answer)
}

/// Connects in the time that is left: an agent that takes nobody any more would hold up the caller for ever.
fn connect(socket: &Path, until: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    loop {
        let ours = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        match rustix::net::connect(&ours, &address) {
            Ok(()) => {
                let stream = UnixStream::from(ours);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            // A Unix socket's queue is full, and waiting for it has no limit of its own.
            Err(Errno::AGAIN | Errno::INPROGRESS | Errno::INTR) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Err(Errno::AGAIN | Errno::INPROGRESS | Errno::INTR) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Fills the buffer, however slowly it drips, in the time that is left.
fn read(stream: &mut UnixStream, mut buffer: &mut [u8], until: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer = buffer.get_mut(read..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What follows the kind of an answer that is of the kind that was asked for.
fn body<'a>(socket: &Path, answer: &'a [u8], kind: u8) -> Result<&'a [u8], AgentError> {
    match answer.split_first() {
        Some((first, rest)) if *first == kind => Ok(rest),
        // SSH_AGENT_FAILURE says no more than that.
        Some((5, _)) => Err(failed(socket, "refused")),
        _ => Err(nonsense(socket)),
    }
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*head))
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::{Child, Command, Stdio};

    use super::super::openssh::KeyFile;
    use super::super::signer::{SignError, Signer};
    use super::*;

    struct Agent(Child);

    impl Drop for Agent {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn until(what: &str, so: impl Fn() -> bool) {
        let began = Instant::now();
        while !so() {
            assert!(began.elapsed() < Duration::from_secs(20), "in vain: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_real_agent_holds_a_key_and_signs_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, path) = (folder.path().join("agent"), folder.path().join("keys/id"));
        let (key, _) = KeyFile::load_or_create(&path, "kim").unwrap();
        let agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let _agent = Agent(agent.expect("ssh-agent runs (Debian: openssh-client)"));
        until("the agent listens", || UnixStream::connect(&socket).is_ok());
        let patience = Duration::from_secs(10);
        assert_eq!(holds(&socket, &key.public, patience), Ok(false));
        let signer = Signer::agent(key.public, socket.clone());
        assert!(matches!(signer.sign("midwatch-test", b"x"), Err(SignError::Agent(error)) if error.why == "refused"));
        assert!(Command::new("ssh-add").arg("-q").arg(&path).env("SSH_AUTH_SOCK", &socket).status().expect("ssh-add").success());
        assert_eq!(holds(&socket, &key.public, patience), Ok(true));
        let signature = signer.sign("midwatch-test", b"x").unwrap();
        assert_eq!(signature, Signer::held(key.signing().unwrap(), key.public).sign("midwatch-test", b"x").unwrap());
    }

    /// An agent that answers these bytes to whatever it is asked, and then nothing.
    fn lying(folder: &Path, answer: Vec<u8>) -> PathBuf {
        let socket = folder.join(format!("lie-{}", answer.len()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            if let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.write_all(&answer);
                std::thread::sleep(Duration::from_secs(5));
            }
        });
        socket
    }

    #[test]
    fn agents_that_lie_or_say_nothing_hold_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let key = Signer::from_seed([7; 32]).public();
        let patience = Duration::from_millis(300);
        let long = [0_u8, 0, 0, 100].iter().chain(&[IDENTITIES; 20]).copied().collect::<Vec<u8>>();
        for (answer, words) in [
            (vec![], "did not answer within"),
            (vec![0xff; 4], "wants to say"),
            (vec![0, 0, 0, 0, 0], "wants to say"),
            (long, "did not answer within"),
            (vec![0, 0, 0, 1, 5], "refused"),
            (vec![0, 0, 0, 1, 99, 0], "cannot be read"),
            // Four thousand million keys, and none of them there.
            (vec![0, 0, 0, 5, IDENTITIES, 0xff, 0xff, 0xff, 0xff], "cannot be read"),
            // A string longer than the message.
            (vec![0, 0, 0, 9, IDENTITIES, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], "cannot be read"),
        ] {
            let began = Instant::now();
            let error = holds(&lying(folder.path(), answer.clone()), &key, patience).unwrap_err().to_string();
            assert!(error.contains(words), "{answer:?}: {error}");
            assert!(began.elapsed() < Duration::from_secs(4));
        }
        assert!(holds(&folder.path().join("none"), &key, patience).is_err());
    }

    #[test]
    fn an_agent_that_takes_nobody_any_more_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        // Its queue is full: nobody is ever taken from it.
        let ahead: Vec<UnixStream> = std::iter::from_fn(|| connect(&path, Instant::now()).ok()).take(10).collect();
        assert!((1..10).contains(&ahead.len()), "{}", ahead.len());
        let began = Instant::now();
        let error = holds(&path, &Signer::from_seed([7; 32]).public(), Duration::from_millis(300)).unwrap_err().to_string();
        assert!(error.contains("did not answer within"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(4));
    }
}
