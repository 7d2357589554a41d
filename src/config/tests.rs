//! Layers, refusals, and the example file. The environment is an argument, so none of this depends on the process.

mod example;
mod nats;
mod refusals;

use std::ffi::OsString;
use std::io::Write;

use tempfile::NamedTempFile;

use super::*;

/// A machine like the smallest that Tenbells is made for.
const MACHINE: Machine = Machine {
    cores: 2,
    open_files_max: Some(20_000),
};

/// Loads a file of this text, these variables and these flags.
fn load_all(
    file: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &'static str, &str)],
) -> Result<Settings, ConfigError> {
    let written = written(file);
    let sources = Sources {
        file: Some(written.path().to_owned()),
        environment: environment(variables),
        flags: flags
            .iter()
            .map(|&(name, key, value)| Flag {
                name,
                key,
                value: value.into(),
            })
            .collect(),
    };
    Settings::load(&sources, MACHINE)
}

fn load(file: &str) -> Result<Config, ConfigError> {
    load_all(file, &[], &[]).map(|settings| settings.config())
}

fn written(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("file");
    file.write_all(text.as_bytes()).expect("write");
    file
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

#[test]
fn nothing_said_is_the_default() {
    let config = load("").expect("an empty file");
    assert_eq!(config, Settings::defaults(MACHINE).config());
    assert_eq!(config.listen.to_string(), "127.0.0.1:7010");
    assert_eq!(config.shards, 2);
    assert_eq!(config.http.connections_max, 19_744);
    assert_eq!(config.http.reserved_for_publishers, 256);
    assert_eq!(config.drain, Duration::from_secs(10));
    let none = Settings::load(&Sources::default(), MACHINE).expect("no layer");
    assert_eq!(none.config(), config);
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file() {
    let file = "data_dir = 'file'\nlisten = '127.0.0.1:1'\n[http]\nwait_max_ms = 1000\n[log]\nformat = 'json'\n";
    let variables = [
        ("TENBELLS_LISTEN", "127.0.0.1:2"),
        ("TENBELLS_DATA_DIR", "variable"),
        ("TENBELLS_HTTP_SSE_RETRY_MS", "3000"),
        ("TENBELLS_KEY", "not a setting"),
        ("PATH", "not ours"),
    ];
    let flags = [("--data-dir", "data_dir", "flag")];
    let config = load_all(file, &variables, &flags).expect("loads").config();
    assert_eq!(config.data_dir, PathBuf::from("flag"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:2");
    assert_eq!(config.http.wait_max, Duration::from_secs(1));
    assert_eq!(config.http.sse_retry, Duration::from_secs(3));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.http.header_timeout, Duration::from_secs(5));
}

#[test]
fn every_setting_has_a_variable_that_sets_it() {
    let text = |setting: &bounds::Setting| match (setting.key, setting.kind) {
        ("listen", _) => "127.0.0.1:7777".to_owned(),
        ("admin_listen", _) => "127.0.0.1:7778".to_owned(),
        ("public_url", _) => "https://live.example".to_owned(),
        ("log.format", _) => "json".to_owned(),
        ("log.level", _) => "debug".to_owned(),
        ("topics.auto_create" | "websocket.deflate", _) => "false".to_owned(),
        ("http.connections_max", _) => "500".to_owned(),
        ("nats.replicas", _) => "3".to_owned(),
        ("tls.certificate" | "tls.key", _) => "file.pem".to_owned(),
        ("memory.drop_percent" | "memory.close_percent", _) => "97".to_owned(),
        (_, bounds::Kind::Integer { min, .. }) => (min + 5).to_string(),
        (_, bounds::Kind::Switch) => "true".to_owned(),
        ("engine", _) => "nats".to_owned(),
        ("nats.servers", _) => "nats://a:4222, nats://b:4222".to_owned(),
        (_, bounds::Kind::Text) => "elsewhere".to_owned(),
        ("limits.exempt" | "http.trusted_proxies", _) => "10.0.0.0/8, 2001:db8::1".to_owned(),
        (_, bounds::Kind::List) => "https://a.example, https://b.example".to_owned(),
        (_, bounds::Kind::Tables) => "[]".to_owned(),
    };
    let default = Settings::defaults(MACHINE);
    for setting in bounds::SETTINGS {
        if setting.kind == bounds::Kind::Tables {
            let variable = setting.variable();
            let refused = load_all("", &[(&variable, "[]")], &[]).expect_err("refused");
            assert!(
                refused.to_string().contains("only a configuration file"),
                "{refused}"
            );
            continue;
        }
        // On its own, apart from the pairs that have to go together.
        let mut variables = vec![(setting.variable(), text(setting))];
        let other = match setting.key {
            "http.batch_bytes_max" => Some(("TENBELLS_HTTP_BODY_BYTES_MAX", "1024")),
            "memory.drop_percent" => Some(("TENBELLS_MEMORY_CLOSE_PERCENT", "98")),
            "engine" => Some(("TENBELLS_NATS_SERVERS", "nats://a:4222")),
            "nats.servers" => Some(("TENBELLS_ENGINE", "nats")),
            "tls.certificate" => Some(("TENBELLS_TLS_KEY", "key.pem")),
            "tls.key" => Some(("TENBELLS_TLS_CERTIFICATE", "chain.pem")),
            _ => None,
        };
        variables.extend(other.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let settings = load_all("", &variables, &[]).expect(setting.key);
        assert_ne!(settings, default, "{} changes nothing", setting.key);
    }
    let names: std::collections::BTreeSet<_> = bounds::SETTINGS
        .iter()
        .map(bounds::Setting::variable)
        .collect();
    assert_eq!(names.len(), bounds::SETTINGS.len());
}

#[test]
fn a_list_has_commas_in_a_variable() {
    let variables = [(
        "TENBELLS_ORIGINS",
        "https://a.example, http://b.example:81,",
    )];
    let config = load_all("origins = ['https://c.example']", &variables, &[])
        .expect("loads")
        .config();
    assert_eq!(config.origins, ["https://a.example", "http://b.example:81"]);
    let config = load_all(
        "origins = ['https://c.example']",
        &[("TENBELLS_ORIGINS", "")],
        &[],
    )
    .expect("loads")
    .config();
    assert!(config.origins.is_empty());
}

#[test]
fn a_variable_names_the_file_unless_a_flag_does() {
    let (named, other) = (written("drain_ms = 1"), written("drain_ms = 2"));
    let path = named.path().to_str().expect("a path in UTF-8");
    let mut sources = Sources {
        environment: environment(&[("TENBELLS_CONFIG", path)]),
        ..Sources::default()
    };
    let drain = |sources: &Sources| {
        let settings = Settings::load(sources, MACHINE).expect("loads");
        settings.config().drain.as_millis()
    };
    assert_eq!(drain(&sources), 1);
    sources.file = Some(other.path().to_owned());
    assert_eq!(drain(&sources), 2);
    sources.environment = environment(&[("TENBELLS_CONFIG", "")]);
    sources.file = None;
    assert_eq!(drain(&sources), 10_000);
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let file = "public_url = 'https://live.example/'\norigins = ['https://a.example']\n[log]\nformat = 'json'\n";
    let settings = load_all(file, &[("TENBELLS_SHARDS", "7")], &[]).expect("loads");
    let printed = settings.to_toml().expect("TOML");
    assert_eq!(load_all(&printed, &[], &[]).expect("loads"), settings);
    let config = settings.config();
    assert_eq!(config.shards, 7);
    assert_eq!(config.public_url.as_deref(), Some("https://live.example"));
}

#[test]
fn a_small_machine_gets_fewer_connections() {
    let machine = |open_files_max| Machine {
        cores: 1,
        open_files_max,
    };
    let http = |machine| {
        let settings = Settings::load(&Sources::default(), machine).expect("loads");
        settings.config().http
    };
    let small = http(machine(Some(1_024)));
    assert_eq!(
        (small.connections_max, small.reserved_for_publishers),
        (768, 192)
    );
    assert_eq!(http(machine(None)).connections_max, 100_000);
    assert_eq!(http(machine(Some(u64::MAX))).connections_max, 100_000);
}
