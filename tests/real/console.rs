//! Two server processes and the console in a pseudo-terminal: when one is killed, the screen says so, and
//! how old what it shows of that server is; when it is back, so is everything that happened meanwhile.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::daemon::{PATIENCE, client};
use super::servers::Serve;
use super::sources::{alertmanager, amtool};

const SIZE: PtySize = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };

/// A console, and its screen as a terminal would show it.
pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    terminal: Arc<Mutex<vt100::Parser>>,
    _master: Box<dyn MasterPty + Send>,
}

impl Screen {
    pub fn start(arguments: &[&str], home: &std::path::Path) -> Screen {
        let pty = native_pty_system().openpty(SIZE).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(arguments);
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")] {
            command.env(name, value);
        }
        command.env("HOME", home);
        let child = pty.slave.spawn_command(command).unwrap();
        let terminal = Arc::new(Mutex::new(vt100::Parser::new(SIZE.rows.try_into().unwrap(), SIZE.cols.try_into().unwrap(), 0)));
        let (mut output, shown) = (pty.master.try_clone_reader().unwrap(), terminal.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = output.read(&mut bytes)
                && count > 0
            {
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        Screen { child, keys: pty.master.take_writer().unwrap(), terminal, _master: pty.master }
    }

    pub fn text(&self) -> String {
        self.terminal.lock().unwrap().screen().contents()
    }

    /// Waits until the screen shows it; how long that took.
    pub async fn until(&self, what: &str, so: impl Fn(&str) -> bool) -> Duration {
        let began = Instant::now();
        while !so(&self.text()) {
            assert!(began.elapsed() < PATIENCE, "the screen does not show {what}:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Between two instructions.
    pub fn kill(mut self) {
        let id = rustix::process::Pid::from_raw(self.child.process_id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    /// Quits it, and waits until it has ended.
    pub async fn quit(mut self) {
        self.press(":q\r");
        let ended = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(ended.elapsed() < PATIENCE, "the console does not end:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub async fn fires(serve: &Serve, system: &str, summary: &str) {
    let body = format!(r#"[{{"labels":{{"alertname":"Test","system":"{system}","severity":"critical"}},"annotations":{{"summary":"{summary}"}}}}]"#);
    let request = client()
        .post(format!("http://127.0.0.1:{}/api/v2/alerts", serve.port))
        .bearer_auth(serve.token("intake"))
        .header("content-type", "application/json")
        .body(body);
    request.send().await.unwrap().error_for_status().unwrap();
}

/// The first line's word for a server, with its age when it has one.
fn bar(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_says_which_server_is_gone_and_shows_what_it_last_said() {
    let (home, one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut first, second) = (Serve::start(one.path()).await, Serve::start(two.path()).await);
    fires(&first, "shore/pump", "the pump is hot").await;
    fires(&second, "ship/engine", "the engine is loud").await;
    let config = home.path().join("console.toml");
    let table = |name: &str, serve: &Serve| {
        format!("[servers.{name}]\nurl = \"ws://127.0.0.1:{}\"\ntoken_file = \"{}\"\n", serve.port, serve.folder.join("console.token").display())
    };
    std::fs::write(&config, "accept_new = true\n".to_owned() + &table("shore", &first) + &table("ship", &second)).unwrap();
    let screen = Screen::start(&["--config", config.to_str().unwrap()], home.path());
    screen.until("both servers' alerts", |text| text.contains("the pump is hot") && text.contains("the engine is loud")).await;
    assert!(!screen.text().contains("as last heard"), "{}", screen.text());

    first.kill();
    let aged = regex::Regex::new(r"shore \d+[sm]").unwrap();
    let noticed = screen.until("that shore is gone, and for how long", |text| aged.is_match(bar(text)) && text.contains("as last heard")).await;
    assert!(noticed < Duration::from_secs(16), "{noticed:?}");
    assert!(screen.text().contains("the pump is hot"), "what it said last is still there:\n{}", screen.text());
    fires(&second, "ship/rudder", "the rudder is stuck").await;
    screen.until("what the other server says meanwhile", |text| text.contains("the rudder is stuck")).await;
    assert!(aged.is_match(bar(&screen.text())), "{}", screen.text());

    first.again().await;
    fires(&first, "shore/valve", "the valve is open").await;
    screen.until("what happened since", |text| text.contains("the valve is open") && text.contains("the pump is hot")).await;
    screen.until("that shore is fresh again", |text| !aged.is_match(bar(text)) && !text.contains("as last heard")).await;
    screen.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_opens_at_once_and_shows_its_story() {
    let home = tempfile::tempdir().unwrap();
    let screen = Screen::start(&["demo"], home.path());
    let first = screen.until("the first frame", |text| text.contains("Timeline")).await;
    let told = screen.until("the story", |text| text.contains("hit rate 12 %") && text.contains("osd.12 down") && text.contains("caused probably")).await;
    println!("first frame after {first:?}, the story after {told:?} more");
    assert!(screen.text().contains("kim"), "{}", screen.text());
}

/// The server that a console started by itself, ended with the test.
struct Embedded<'a>(&'a std::path::Path);

impl Drop for Embedded<'_> {
    fn drop(&mut self) {
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            if line.contains("serve") && line.contains(&*self.0.to_string_lossy()) {
                let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flag_shows_what_an_alertmanager_holds() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (alertmanager, port) = alertmanager(folder.path(), None).await;
    let url = format!("http://127.0.0.1:{port}");
    let (ok, output) = amtool(&url, None, &["alert", "add", "alertname=Slow", "system=shop/web", "severity=critical", "--annotation=summary=the shop is slow"]);
    assert!(ok, "{output}");
    let _embedded = Embedded(home.path());
    let screen = Screen::start(&["--alertmanager", &url], home.path());
    screen.until("the alert", |text| text.contains("the shop is slow") && text.contains("shop/web")).await;
    screen.until("who says it", |text| text.contains(&format!("127.0.0.1:{port}"))).await;
    assert!(!screen.text().contains("fires "), "an Alertmanager knows no values:\n{}", screen.text());
    // Another alert comes by itself; and an Alertmanager that goes away resolves nothing.
    let (ok, output) = amtool(&url, None, &["alert", "add", "alertname=Full", "system=shop/db", "--annotation=summary=the disk is full"]);
    assert!(ok, "{output}");
    screen.until("the other alert", |text| text.contains("the disk is full")).await;
    drop(alertmanager);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(screen.text().contains("the shop is slow"), "{}", screen.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn find_asks_the_servers_index_for_what_is_not_held_and_clocks_are_compared() {
    let (home, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let serve = Serve::start(data.path()).await;
    assert!(serve.push("a zebra crossed the deck").await);
    // More than come with a snapshot: the first is not held here.
    for number in 0..520 {
        assert!(serve.push(&format!("wave {number}")).await);
    }
    let config = home.path().join("console.toml");
    let table = format!("[servers.ship]\nurl = \"ws://127.0.0.1:{}\"\ntoken_file = \"{}\"\n", serve.port, serve.folder.join("console.token").display());
    std::fs::write(&config, table).unwrap();
    let mut screen = Screen::start(&["--config", config.to_str().unwrap()], home.path());
    // It is met for the first time: who it is is asked before anything is told it.
    screen
        .until("the question", |text| text.contains("The server ship (127.0.0.1:") && text.contains("is met for the first time") && text.contains("SHA256:"))
        .await;
    // What is typed as it comes up is no answer to it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    screen.press("y");
    screen.until("that its key is remembered", |text| text.contains("the key of ship is remembered")).await;
    screen.until("that the server answers", |text| text.contains("nothing is known to be well")).await;
    screen.press("f");
    screen.until("the prompt", |text| text.contains("find")).await;
    screen.press("zebra");
    screen.until("what the index knows", |text| text.contains("a zebra crossed the deck") && text.contains("event, info")).await;
    screen.press("\r");
    screen.until("the event on the timeline", |text| text.lines().any(|line| line.starts_with('▌') && line.contains("a zebra crossed the deck"))).await;
    screen.press("0\r");
    screen.until("its clock, from its answers", |text| text.contains("agrees with ours, to within ")).await;
}
