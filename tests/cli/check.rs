//! `midwatch config check`: all that is wrong with files of any name.

use super::home::Home;

#[test]
fn all_mistakes_of_all_files_are_said_in_one_run() {
    let home = Home::new();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let agent = file(
        "web.conf",
        "[agent]\nnam = \"x\"\nkeepalive = \"3h\"\n[[check]]\nkind = \"lod\"\n[[check]]\nkind = \"load\"\nintervall = \"5s\"\nattempts = 0\n[[check]]\nkind = \"memory\"\n",
    );
    let keymap = file("my keys", "[global]\nj = \"donw\"\nEntr = \"open\"\n");
    let theme = file("dusk.toml", "inherits = \"daylight\"\n[scopes]\ntext = \"rde\"\n\"severity.critcal\" = \"red\"\n");
    let server = file("shop.txt", "lisen = \"x\"\n[[system]]\nid = \"a\"\n[[system]]\nid = \"a\"\n");
    let fine = file("fine", "[[check]]\nkind = \"load\"\n");
    let ran = home.run(&["config", "check", &agent, &keymap, &theme, &server, &fine]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let said: Vec<String> = ran.out.lines().map(|line| line.replace(&format!("{}/", home.path().display()), "")).collect();
    insta::assert_snapshot!("all-mistakes", said.join("\n"));
    assert!(ran.err.contains("11 mistakes in 4 files"), "{}", ran.err);
}

#[test]
fn what_a_file_is_can_be_said() {
    let home = Home::new();
    let path = home.path().join("x");
    std::fs::write(&path, "name = \"shop\"\n").unwrap();
    let path = path.to_str().unwrap();
    let ran = home.run(&["config", "check", path]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("cannot tell whose configuration this is") && ran.out.contains("--as console|keymap|server|agent|theme"), "{ran:?}");
    assert!(home.ok(&["config", "check", "--as", "server", path]).contains("fine  (server)"));
    let ran = home.run(&["config", "check", "--as", "agent", path]);
    assert!(ran.out.contains(":1:1: unknown table or field `name`"), "{ran:?}");
    let ran = home.run(&["config", "check", "/nowhere/at/all.toml"]);
    assert!(ran.code == 1 && ran.out.contains("no such file"), "{ran:?}");
}

#[test]
fn what_is_wrong_with_a_repository_is_said_with_its_place_and_the_nearest_name() {
    let home = Home::new();
    let path = home.path().join("server.toml");
    let text = "listen = \"127.0.0.1:0\"\n[[system]]\nid = \"shop/api\"\n[[repository]]\npath = \"/srv/git/shop.git\"\nsystem = \"shop/apo\"\nbranch = \"--output=x\"\n";
    std::fs::write(&path, text).unwrap();
    let ran = home.run(&["config", "check", path.to_str().unwrap()]);
    let said: Vec<String> = ran.out.lines().map(|line| line.replace(&format!("{}/", home.path().display()), "")).collect();
    assert_eq!(
        said,
        [
            "server.toml:7:1: the repository `shop`: `--output=x` cannot be a branch's name",
            "server.toml:6:1: the repository `shop`: no system `shop/apo` is declared. Did you mean `shop/api`?",
        ]
    );
    assert_eq!(ran.code, 1, "{ran:?}");
    std::fs::write(&path, text.replace("system =", "systen =")).unwrap();
    let ran = home.run(&["config", "check", path.to_str().unwrap()]);
    assert!(ran.out.contains("server.toml:6:1: unknown field `systen`") && ran.out.contains("Did you mean `system`?"), "{ran:?}");
}
