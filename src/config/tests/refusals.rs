//! What is refused, and that the message names the setting, the place and the limit.

use super::*;

/// What the refusal of this file says.
fn refusal(file: &str) -> String {
    load(file).expect_err(file).to_string()
}

/// Asserts that the refusal of this file says all of it.
fn refused(file: &str, said: &[&str]) {
    let message = refusal(file);
    for part in said {
        assert!(message.contains(part), "{file:?} lacks {part:?}: {message}");
    }
}

fn variable(name: &str, value: &str) -> ConfigError {
    load_all("", &[(name, value)], &[]).expect_err(name)
}

#[test]
fn an_unknown_setting_is_named_with_its_line() {
    refused(
        "listen = '127.0.0.1:1'\nprot = 3",
        &["line 2", "`prot`", "listen"],
    );
    refused(
        "[http]\n\nconections_max = 5",
        &["line 3", "`conections_max`", "connections_max"],
    );
    refused("[htpp]\n", &["line 1", "`htpp`"]);
    refused("shards = \n", &["line 1"]);
    refused("drain_ms = '10s'", &["line 1", "drain_ms"]);
    refused("listen = 'localhost:7010'", &["line 1", "127.0.0.1:7010"]);
    refused("[log]\nformat = 'xml'", &["line 2", "`text`", "`json`"]);
}

#[test]
fn a_number_out_of_bounds_is_named_with_them() {
    let error = load("# first\n[http]\nbody_timeout_ms = 99").expect_err("too small");
    let Some(Origin::File { line: 3, .. }) = error.origin() else {
        panic!("{error}");
    };
    let said = [
        "http.body_timeout_ms is 99",
        "line 3",
        "from 100 to 600000 ms",
    ];
    refused("# first\n[http]\nbody_timeout_ms = 99", &said);
    refused("drain_ms = -1", &["drain_ms is -1", "from 0 to 600000 ms"]);
    for setting in bounds::SETTINGS {
        let bounds::Kind::Integer { min, max, unit } = setting.kind else {
            continue;
        };
        for wrong in [min - 1, max + 1, i64::MIN, i64::MAX] {
            let said = format!("{} is {wrong} (", setting.key);
            let bounds = format!("{min} to {max} {unit}");
            refused(&format!("{} = {wrong}", setting.key), &[&said, &bounds]);
        }
    }
}

#[test]
fn a_listener_in_the_open_takes_a_word() {
    for address in ["0.0.0.0:7010", "[::]:7010", "192.0.2.1:7010"] {
        let file = format!("listen = '{address}'");
        refused(&file, &["listen is", "line 1", "behind_proxy = true"]);
        load(&format!("{file}\nbehind_proxy = true")).expect("behind a proxy");
        let file = format!("admin_listen = '{address}'\nlisten = '127.0.0.1:1'");
        refused(&file, &["admin_listen is", "admin_public = true"]);
        load(&format!("{file}\nadmin_public = true")).expect("a private network");
    }
    for address in [
        "127.0.0.1:1",
        "127.8.8.8:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        load(&format!("listen = '{address}'")).expect("loopback");
    }
    let flags = [("--listen", "listen", "0.0.0.0:0")];
    let error = load_all("", &[], &flags).expect_err("in the open");
    assert_eq!(error.origin(), Some(&Origin::Flag("--listen")));
    assert!(
        error.to_string().contains("0.0.0.0:0 (--listen)"),
        "{error}"
    );
}

#[test]
fn a_certificate_and_its_key_come_together_and_allow_to_listen_in_the_open() {
    let pair = "listen = '0.0.0.0:7010'\n[tls]\ncertificate = 'chain.pem'\nkey = 'key.pem'";
    let tls = load(pair).expect("with TLS").tls.expect("TLS");
    assert_eq!(tls.certificate, PathBuf::from("chain.pem"));
    assert_eq!(tls.key, PathBuf::from("key.pem"));
    assert_eq!(load("[tls]\nhsts_s = 0").expect("no pair").tls, None);
    refused(
        "[tls]\ncertificate = 'chain.pem'",
        &[
            "tls.certificate is \"chain.pem\"",
            "line 2",
            "without tls.key",
        ],
    );
    refused(
        "[tls]\nkey = 'key.pem'",
        &["tls.key is", "without tls.certificate (--tls-certificate)"],
    );
    refused("[tls]\nkey = ''\ncertificate = 'c'", &["names no file"]);
}

#[test]
fn the_listeners_need_a_port_each() {
    let same = "listen = '127.0.0.1:7011'";
    refused(
        same,
        &["admin_listen is 127.0.0.1:7011 (the default)", "line 1"],
    );
    refused(
        "listen = '0.0.0.0:7011'\nbehind_proxy = true",
        &["admin_listen is"],
    );
    load("listen = '127.0.0.2:7011'").expect("another address");
    load("listen = '127.0.0.1:0'\nadmin_listen = '127.0.0.1:0'").expect("any ports");
}

#[test]
fn origins_are_exact() {
    for wrong in [
        "*",
        "https://*.example",
        "live.example",
        "null",
        "ftp://a.example",
        "https://a.example/",
        "https://a.example/path",
        "https://A.example",
        "https://a.example:443",
        "https://u@a.example",
    ] {
        refused(
            &format!("origins = ['https://ok.example', '{wrong}']"),
            &["origins is", wrong, "line 1"],
        );
    }
    refused(
        "origins = ['https://a.example:443']",
        &["write it as https://a.example"],
    );
    let many = vec!["'https://a.example'"; 101].join(",");
    refused(&format!("origins = [{many}]"), &["101", "100"]);
    let list = "origins = ['https://a.example', 'http://127.0.0.1:8080', 'http://[::1]:81']";
    assert_eq!(load(list).expect("exact").origins.len(), 3);
}

#[test]
fn the_public_url_can_stand_in_front_of_a_path() {
    for wrong in [
        "",
        "live.example",
        "ftp://live.example",
        "javascript:alert(1)",
        "https://live.example/?a=b",
        "https://live.example/#a",
        "https://user:word@live.example",
        "https://LIVE.example",
        "https://live.example/a b",
    ] {
        refused(
            &format!("public_url = '{wrong}'"),
            &["public_url is", wrong, "line 1"],
        );
    }
    let url = |text: &str| {
        load(&format!("public_url = '{text}'"))
            .expect(text)
            .public_url
    };
    assert_eq!(
        url("https://live.example/"),
        Some("https://live.example".to_owned())
    );
    assert_eq!(
        url("http://a.example:81/live"),
        Some("http://a.example:81/live".to_owned())
    );
}

#[test]
fn connections_fit_the_open_files() {
    let said = [
        "http.connections_max is 19745",
        "line 2",
        "20000 files",
        "19744",
    ];
    refused("[http]\nconnections_max = 19745", &said);
    load("[http]\nconnections_max = 19744").expect("just fits");
    let tiny = Machine {
        cores: 1,
        open_files_max: Some(256),
    };
    let error = Settings::load(&Sources::default(), tiny).expect_err("no room");
    assert!(error.to_string().contains("256 files"), "{error}");
}

#[test]
fn readers_have_room_beside_publishers() {
    let said = [
        "http.reserved_for_publishers is 10 (",
        "line 2",
        "http.connections_max, 10 (",
    ];
    refused(
        "[http]\nreserved_for_publishers = 10\nconnections_max = 10",
        &said,
    );
    load("[http]\nreserved_for_publishers = 9\nconnections_max = 10").expect("one reader");
    load("[http]\nconnections_max = 1").expect("nothing reserved then");
}

#[test]
fn a_batch_holds_a_body() {
    let said = [
        "http.batch_bytes_max is 2048",
        "http.body_bytes_max is 4096",
    ];
    refused(
        "[http]\nbody_bytes_max = 4096\nbatch_bytes_max = 2048",
        &said,
    );
}

#[test]
fn a_level_is_a_level() {
    refused(
        "[log]\nlevel = 'wran'",
        &["log.level", "line 2", "wran", "warn"],
    );
    refused("[log]\nlevel = 'info,,'", &["log.level"]);
    refused("[log]\nlevel = 'tenbells=loud'", &["log.level", "line 2"]);
    load("[log]\nlevel = 'warn,tenbells::store=debug'").expect("a filter");
}

#[test]
fn a_folder_has_a_name() {
    refused("data_dir = ''", &["data_dir", "line 1"]);
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    for (name, value, said) in [
        ("TENBELLS_SHARDS", "many", "a whole number"),
        ("TENBELLS_SHARDS", "", "a whole number"),
        ("TENBELLS_BEHIND_PROXY", "yes", "true or false"),
        ("TENBELLS_LISTEN", "7010", "127.0.0.1:7010"),
        ("TENBELLS_LOG_FORMAT", "xml", "`json`"),
        ("TENBELLS_SHARDS", "2000", "from 1 to 1024 threads"),
    ] {
        let error = variable(name, value);
        assert_eq!(error.origin(), Some(&Origin::Variable(name.to_owned())));
        let message = error.to_string();
        assert!(
            message.contains(name) && message.contains(said),
            "{message}"
        );
    }
}

#[test]
fn a_variable_that_is_unknown_is_named() {
    let message = variable("TENBELLS_CONNECTIONS_MAX", "5").to_string();
    assert!(
        message.contains("TENBELLS_CONNECTIONS_MAX is no setting"),
        "{message}"
    );
    assert!(
        message.contains("TENBELLS_HTTP_CONNECTIONS_MAX is:"),
        "{message}"
    );
    let message = variable("TENBELLS_PORT", "tcp://10.0.0.1:80").to_string();
    assert!(message.contains("enableServiceLinks"), "{message}");
    for ours in ["TENBELLS_URL", "TENBELLS_KEY", "TENBELLS_CORPUS"] {
        load_all("", &[(ours, "x")], &[]).expect(ours);
    }
}

#[test]
fn a_value_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    let sources = Sources {
        flags: vec![Flag {
            name: "--data-dir",
            key: "data_dir",
            value: OsString::from_vec(vec![b'a', 0xff]),
        }],
        ..Sources::default()
    };
    let error = Settings::load(&sources, MACHINE).expect_err("not UTF-8");
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sources = Sources {
        file: Some("/nonexistent/tenbells.toml".into()),
        ..Sources::default()
    };
    let error = Settings::load(&sources, MACHINE).expect_err("no file");
    assert!(
        error.to_string().contains("/nonexistent/tenbells.toml"),
        "{error}"
    );
    let long = "# long\n".repeat(40_000);
    assert!(refusal(&long).contains("262144"));
}
