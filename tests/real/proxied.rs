//! Debian's nginx before a server, by the configuration that is shipped: consoles, senders and all come
//! through it, as the real program.

use std::path::Path;
use std::process::{Command, Output};

use rcgen::{CertificateParams, KeyPair};

use crate::daemon::{Daemon, client, eventually, free_port};

/// A home with a console's configuration and key.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn console(&self, text: &str) {
        let folder = self.path().join(".config/midwatch");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("console.toml"), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(arguments).env("HOME", self.path()).env("USER", "kim").env_remove("SSH_AUTH_SOCK").env_remove("SSL_CERT_FILE");
        for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env_remove(variable);
        }
        command.output().unwrap()
    }

    fn said(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.run(arguments);
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// The public key, as `authorized_keys` wants it.
    fn key(&self) -> String {
        let output = self.run(&["keys", "show", "--json"]);
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        shown["public_key"].as_str().unwrap().to_owned()
    }
}

/// nginx with the shipped configuration: ports and files are the test's.
async fn nginx(folder: &Path, port: u16, server: u16) -> Daemon {
    let shipped = include_str!("../../packaging/proxy/nginx.conf");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("proxy.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("proxy.key"), key.serialize_pem()).unwrap();
    let mut site = shipped.to_owned();
    for (theirs, ours) in [
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
        ("    listen [::]:443 ssl;\n", String::new()),
        ("server_name ops.example.org;", "server_name localhost;".to_owned()),
        ("/etc/letsencrypt/live/ops.example.org/fullchain.pem", folder.join("proxy.pem").display().to_string()),
        ("/etc/letsencrypt/live/ops.example.org/privkey.pem", folder.join("proxy.key").display().to_string()),
        ("http://127.0.0.1:7373", format!("http://127.0.0.1:{server}")),
    ] {
        assert!(site.contains(theirs), "the shipped nginx.conf has no `{theirs}`");
        site = site.replace(theirs, &ours);
    }
    let at = folder.display();
    let ready = free_port();
    let whole = format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/nginx-error.log;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\nfastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n\
         server {{ listen 127.0.0.1:{ready}; return 200 'ready'; }}\n{site}\n}}\n"
    );
    std::fs::write(folder.join("nginx.conf"), whole).unwrap();
    let arguments = ["-c".to_owned(), folder.join("nginx.conf").display().to_string(), "-p".to_owned(), at.to_string()];
    Daemon::start("nginx", "nginx-light", folder, &arguments, &format!("http://127.0.0.1:{ready}/")).await
}

/// A midwatch server that trusts the proxy of this machine.
async fn serve(folder: &Path, port: u16, authorized: &str) -> Daemon {
    std::fs::write(folder.join("authorized_keys"), format!("{authorized}\n")).unwrap();
    let data = folder.join("data");
    let config = format!(
        "name = \"shop\"\nlisten = \"127.0.0.1:{port}\"\ndata = {data:?}\n[trust]\nauthorized_keys = {:?}\n[proxy]\ntrusted = [\"127.0.0.1\"]\n[[system]]\nid = \"shop/varnish\"\n",
        folder.join("authorized_keys")
    );
    std::fs::write(folder.join("server.toml"), config).unwrap();
    let arguments = ["--config".to_owned(), folder.join("server.toml").display().to_string(), "serve".to_owned()];
    let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
    command.env("HOME", folder);
    Daemon::run("midwatch", command, folder, &arguments, &format!("http://127.0.0.1:{port}/readyz")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn through_nginx_come_consoles_by_their_keys_and_senders_by_their_tokens() {
    let (folder, home) = (tempfile::tempdir().unwrap(), Home::new());
    let (outer, inner) = (free_port(), free_port());
    let _serve = serve(folder.path(), inner, &format!("name=\"Kim Lee\" {}", home.key())).await;
    let _nginx = nginx(folder.path(), outer, inner).await;
    let pem = folder.path().join("proxy.pem");
    let configured = |more: &str| home.console(&format!("accept_new = true\n[servers.shop]\nurl = \"wss://localhost:{outer}\"\nca = {pem:?}\n{more}"));

    configured("proxy = true\n");
    let (fine, said) = home.said(&["note", "system", "shop/varnish", "through the proxy"]);
    assert!(fine, "{said}");
    let (fine, said) = home.said(&["events", "--json"]);
    assert!(fine && said.contains("through the proxy") && said.contains("Kim Lee"), "{said}");

    // What is pushed comes in by its token; tokens of consoles open nothing.
    let token = |of: &str| std::fs::read_to_string(folder.path().join(format!("data/{of}.token"))).unwrap().trim().to_owned();
    let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(&pem).unwrap()).unwrap();
    drop(client());
    let http = reqwest::Client::builder().no_proxy().tls_certs_only(roots).local_address(Some("127.0.0.2".parse().unwrap())).build().unwrap();
    let url = |path: &str| format!("https://localhost:{outer}{path}");
    let pushed = http.post(url("/api/v1/events")).bearer_auth(token("intake")).body(r#"{"title":"backup done","system":"shop/varnish"}"#).send();
    let pushed = pushed.await.unwrap();
    assert!(pushed.status().is_success(), "{pushed:?}");
    assert_eq!(http.get(url("/healthz")).send().await.unwrap().text().await.unwrap(), "ok\n");
    let metrics = http.get(url("/metrics")).bearer_auth(token("console")).header("x-forwarded-for", "127.0.0.1").send().await.unwrap();
    assert_eq!(metrics.status().as_u16(), 401, "and nobody can say that they are inside");
    let log = || std::fs::read_to_string(folder.path().join("midwatch.log")).unwrap();
    eventually("the log says from where", async || match log() {
        log if log.contains("127.0.0.2 through 127.0.0.1:") => Ok(()),
        log => Err(log),
    })
    .await;

    // A push of megabytes.
    let long = "x".repeat(1_000);
    let many: String = (0..3_000).map(|n| format!("{{\"title\":\"event {n}\",\"system\":\"shop/varnish\",\"text\":\"{long}\"}}\n")).collect();
    let pushed = http.post(url("/api/v1/events")).bearer_auth(token("intake")).body(many).send().await.unwrap();
    assert!(pushed.status().is_success(), "{pushed:?}");
    let metrics = http.get(url("/metrics")).bearer_auth(token("intake")).send().await.unwrap().text().await.unwrap();
    let appended = metrics.lines().find_map(|line| line.strip_prefix("midwatch_events_appended_total ")).unwrap();
    assert!(appended.parse::<u64>().unwrap() >= 3_000, "{appended}");

    // Whoever does not say that a proxy is trusted is told what stands between.
    configured("");
    let (fine, said) = home.said(&["now"]);
    assert!(!fine && said.contains("not on the same line") && said.contains("proxy = true"), "{said}");
}

/// Traefik is not to be had here: its configuration is read as what it is, and its names are held together.
#[test]
fn the_configuration_for_traefik_is_yaml_and_its_names_hold() {
    let text = include_str!("../../packaging/proxy/traefik.yaml");
    let document = yaml_rust2::YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("traefik.yaml: {error}"));
    let http = &document[0]["http"];
    let router = &http["routers"]["midwatch"];
    assert!(router["rule"].as_str().unwrap().starts_with("Host(`"));
    assert_eq!(router["entryPoints"][0].as_str(), Some("websecure"));
    let services = http["services"].as_hash().unwrap();
    assert!(services.keys().any(|name| name.as_str() == router["service"].as_str()), "the router's service is there");
    for service in services.values() {
        let balancer = &service["loadBalancer"];
        let url = balancer["servers"][0]["url"].as_str().unwrap();
        let host: std::net::SocketAddr = url.split_once("://").unwrap().1.parse().unwrap();
        assert!(url.starts_with("https://") || host.ip().is_loopback(), "nothing is sent in the clear beyond this machine: {url}");
        if let Some(transport) = balancer["serversTransport"].as_str() {
            assert!(!http["serversTransports"][transport]["rootCAs"].is_badvalue(), "{transport}");
        }
    }
}
