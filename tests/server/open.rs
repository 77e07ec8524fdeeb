//! A server on a data folder of its own: what it makes there, and what it refuses, in clear sentences.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use midwatch::server::{Config, Listen, Server};

fn config(data: &Path, listen: &Listen) -> Config {
    Config { name: Some("shop".into()), data: Some(data.to_owned()), listen: listen.clone(), ..Config::default() }
}

async fn refused(config: &Config) -> String {
    match Server::open(config).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_folder_is_made_once_kept_private_and_used_by_one_server_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let any = Listen::Tcp("127.0.0.1:0".parse().unwrap());
    let server = Server::open(&config(&data, &any)).await.unwrap().spawn();
    let origin = server.core.durable().await.unwrap().world.origin;
    for file in ["server.key", "console.token", "agent.token", "intake.token"] {
        let mode = std::fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let words = refused(&config(&data, &any)).await;
    assert!(words.contains("another midwatch server uses this folder"), "{words}");
    let taken = server.address.clone().unwrap();
    let words = refused(&config(&folder.path().join("other"), &taken)).await;
    assert!(words.contains("something listens there already"), "{words}");
    server.stop().await;
    let again = Server::open(&config(&data, &any)).await.unwrap().spawn();
    assert_eq!(again.core.durable().await.unwrap().world.origin, origin, "the same server");
    again.stop().await;
    std::fs::set_permissions(data.join("console.token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let words = refused(&config(&data, &any)).await;
    assert!(words.contains("console.token") && words.contains("chmod 600"), "{words}");
}

#[tokio::test]
async fn a_socket_is_its_owners_alone_and_a_stale_one_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/server.sock");
    let listen = Listen::Unix(socket.clone());
    std::fs::create_dir(folder.path().join("run")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let server = Server::open(&config(&folder.path().join("data"), &listen)).await.unwrap().spawn();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let words = refused(&config(&folder.path().join("other"), &listen)).await;
    assert!(words.contains("something listens there already"), "{words}");
    server.stop().await;
    assert!(!socket.exists(), "it is taken away again");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let words = refused(&config(&folder.path().join("file/data"), &Listen::Tcp("127.0.0.1:0".parse().unwrap()))).await;
    assert!(words.contains("file/data") && words.contains("Choose another folder"), "{words}");
}
