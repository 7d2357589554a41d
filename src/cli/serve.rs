//! `serve` and `check-config`: the broker itself.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::output;
use crate::app::{App, AppError};
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError, Flag, Machine, Origin, Settings, Sources};
use crate::pages::Templates;
use crate::shutdown::Shutdown;
use crate::store::jetstream::JetStreamError;
use crate::store::sqlite::OpenError;
use crate::telemetry;
use crate::tls::{Identity, Tls};
use crate::tokens::Tokens;

/// Under the help of `serve`.
pub const EXAMPLES: &str = "\
Examples:
  A sample blog at a watchable pace, and the address to open:
    tenbells serve --demo
  With TLS of its own:
    tenbells serve --listen 0.0.0.0:443 --tls-certificate fullchain.pem --tls-key privkey.pem
  One node of a cluster:
    tenbells serve --engine nats --nats nats://a:4222,nats://b:4222,nats://c:4222
  Behind a proxy that does TLS:
    tenbells serve --config /etc/tenbells.toml --listen 0.0.0.0:7010 --behind-proxy

A flag goes before the environment (TENBELLS_LISTEN …), that before the configuration file (--config, else the one that
TENBELLS_CONFIG names), that before the default; `tenbells check-config` prints what comes out.

SIGHUP reads the certificate and the templates anew. SIGTERM stops it in order: readers are told when to come back, and nothing that was acknowledged is lost.";

/// Under the help of `check-config`.
pub const CHECK_EXAMPLES: &str = "\
Examples:
  tenbells check-config --config /etc/tenbells.toml && systemctl restart tenbells

Prints every setting in force, as a configuration file. It reads the environment as `serve` does, and opens neither the
data folder nor a socket; the certificate, its key, the templates and the files of [tokens] are read and checked.";

/// `tenbells serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder with everything that is kept; made where it isn't there [default: tenbells-data]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Where publishers and readers connect [default: 127.0.0.1:7010]
    #[arg(long, value_name = "ADDRESS", help_heading = "Listeners")]
    pub listen: Option<SocketAddr>,
    /// Where health and metrics are; keep it private [default: 127.0.0.1:7011]
    #[arg(long, value_name = "ADDRESS", help_heading = "Listeners")]
    pub admin_listen: Option<SocketAddr>,
    /// Allows listening in the open without TLS, because a proxy in front does it
    #[arg(long, help_heading = "Listeners")]
    pub behind_proxy: bool,
    /// Speaks TLS with this certificate and its chain, PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        help_heading = "Listeners"
    )]
    pub tls_certificate: Option<PathBuf>,
    /// Private key of that certificate, PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_certificate",
        help_heading = "Listeners"
    )]
    pub tls_key: Option<PathBuf>,
    /// What keeps the log: a database in the data folder, or a log that several nodes share [default: sqlite]
    #[arg(long, value_name = "ENGINE", help_heading = "Cluster")]
    pub engine: Option<Engine>,
    /// The NATS servers of the shared log, with commas between them: nats://a:4222,nats://b:4222,nats://c:4222
    #[arg(long, value_name = "SERVERS", help_heading = "Cluster")]
    pub nats: Option<String>,
    /// Name of this node in the cluster [default: the machine's name with the port]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub node: Option<String>,
    /// Threads that serve readers [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,
    /// Plays a sample blog, and prints the address to open
    #[arg(long)]
    pub demo: bool,
    /// How log lines are written, on stderr [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// `tenbells check-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckConfigArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// A database in the data folder
    Sqlite,
    /// A log that several nodes share, on NATS JetStream
    Nats,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Runs the broker until it is told to stop.
///
/// # Errors
/// When it can't start, or the store fails.
pub fn run(args: ServeArgs) -> Result<(), Failure> {
    let flags = overrides(&args);
    let own_folder = args.data_dir.is_some();
    let mut config = load(args.config, flags)?.config();
    let demo = config.demo;
    // A demo leaves nothing behind, unless its own command line says where: it must not play in a newsroom's folder.
    let folder = (demo && !own_folder)
        .then(tempfile::tempdir)
        .transpose()
        .map_err(|error| Failure::io("a folder for the demo", &error))?;
    if let Some(folder) = &folder {
        config.data_dir = folder.path().to_owned();
    }
    telemetry::init(config.log.format, &config.log.level)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the runtime", &error))?;
    let ended = runtime.block_on(serve(config, demo));
    // What is still blocking then is a read whose reader is gone.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ended
}

async fn serve(config: Config, demo: bool) -> Result<(), Failure> {
    let shutdown = Shutdown::new();
    shutdown
        .on_signals()
        .map_err(|error| Failure::io("signals", &error))?;
    let data_dir = config.data_dir.clone();
    let app = App::start(config, shutdown).await.map_err(start_failure)?;
    reload_on_hangup(app.tls().cloned(), Arc::clone(app.templates()))
        .map_err(|error| Failure::io("signals", &error))?;
    let (address, admin) = (app.address(), app.admin_address());
    let scheme = app.tls().map_or("http", |_| "https");
    tracing::info!(%address, scheme, %admin, data_dir = %data_dir.display(), version = env!("CARGO_PKG_VERSION"), "tenbells is ready");
    if demo {
        let topic = crate::demo::first_topic();
        output::line(format_args!(
            "A sample blog is playing. Open {scheme}://{address}/t/{topic}\nCtrl-C stops it."
        ))?;
    }
    app.run()
        .await
        .map_err(|error| Failure::new(Exit::Io, error.to_string()).advise(
            "look at the disk under the data folder, then start again: what was acknowledged is kept",
        ))
}

/// Has the certificate and the templates read anew at SIGHUP. Without them the signal means nothing, and ends nothing
/// either.
fn reload_on_hangup(tls: Option<Arc<Tls>>, templates: Arc<Templates>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let (tls, templates) = (tls.clone(), Arc::clone(&templates));
            if tls.is_none() && !templates.has_folder() {
                tracing::info!(
                    "SIGHUP: there is neither a certificate nor a template to read anew"
                );
                continue;
            }
            // How it went is in the log.
            let _ = tokio::task::spawn_blocking(move || {
                if let Some(tls) = tls {
                    tls.reload(Timestamp::now());
                }
                if templates.has_folder() {
                    reload_templates(&templates);
                }
            })
            .await;
        }
    });
    Ok(())
}

fn reload_templates(templates: &Templates) {
    match templates.reload() {
        Ok(()) => tracing::info!("the templates were read anew"),
        Err(error) => {
            tracing::error!(%error, "the new templates can't be used; those before are kept");
        }
    }
}

fn start_failure(error: AppError) -> Failure {
    let message = error.to_string();
    match error {
        AppError::Open(OpenError::InUse(_)) => Failure::new(Exit::Temporary, message)
            .advise("stop the other one, or give this one a data folder of its own: --data-dir"),
        AppError::Listen { .. } => Failure::new(Exit::Unavailable, message).advise(
            "another program may have the address; --listen and --admin-listen choose others",
        ),
        AppError::JetStream(JetStreamError::Link(_)) => Failure::new(Exit::Unavailable, message)
            .advise("look whether the NATS servers run, and whether this machine reaches them"),
        AppError::Tls(_) | AppError::Tokens(_) | AppError::Templates(_) => {
            Failure::new(Exit::Config, message)
        }
        _ => Failure::new(Exit::Io, message),
    }
}

/// Prints the settings in force, as a configuration file; opens neither the data folder nor a socket, but the
/// certificate, its key and the templates.
///
/// # Errors
/// When the configuration can't be read, or is refused, or the certificate or a template can't be used.
pub fn check_config(args: CheckConfigArgs) -> Result<(), Failure> {
    let settings = load(args.config, Vec::new())?;
    let config = settings.config();
    Templates::open(config.pages.templates.as_deref())
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    if let Some(tls) = config.tls {
        let now = Timestamp::now();
        let identity = Identity::open(&tls.certificate, &tls.key, now)
            .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
        for concern in identity.concerns(now) {
            output::note(format_args!("warning: {concern}"));
        }
    }
    Tokens::open(&settings.config().tokens, Arc::new(SystemClock))
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    let text = settings
        .to_toml()
        .map_err(|error| Failure::new(Exit::Other, error.to_string()))?;
    output::line(text.trim_end())
}

fn load(file: Option<PathBuf>, flags: Vec<Flag>) -> Result<Settings, Failure> {
    Settings::load(&Sources::of_process(file, flags), Machine::this()).map_err(config_failure)
}

fn config_failure(error: ConfigError) -> Failure {
    match &error {
        ConfigError::Unreadable { path, source }
            if source.kind() != std::io::ErrorKind::InvalidData =>
        {
            Failure::io(
                format_args!("the configuration file {}", path.display()),
                source,
            )
        }
        _ if matches!(error.origin(), Some(Origin::Flag(_))) => Failure::usage(error.to_string()),
        _ => Failure::new(Exit::Config, error.to_string()),
    }
}

/// What the command line sets.
fn overrides(args: &ServeArgs) -> Vec<Flag> {
    let address = |address: SocketAddr| OsString::from(address.to_string());
    let format = args.log_format.map(|format| match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    });
    let engine = args.engine.map(|engine| match engine {
        Engine::Sqlite => "sqlite",
        Engine::Nats => "nats",
    });
    let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
    let shards = args.shards.map(|shards| shards.to_string().into());
    let given = |switch: bool| switch.then(|| "true".into());
    [
        ("--data-dir", "data_dir", path(&args.data_dir)),
        ("--listen", "listen", args.listen.map(address)),
        (
            "--admin-listen",
            "admin_listen",
            args.admin_listen.map(address),
        ),
        ("--engine", "engine", engine.map(OsString::from)),
        (
            "--nats",
            "nats.servers",
            args.nats.clone().map(OsString::from),
        ),
        ("--node", "nats.node", args.node.clone().map(OsString::from)),
        ("--behind-proxy", "behind_proxy", given(args.behind_proxy)),
        (
            "--tls-certificate",
            "tls.certificate",
            path(&args.tls_certificate),
        ),
        ("--tls-key", "tls.key", path(&args.tls_key)),
        ("--shards", "shards", shards),
        ("--demo", "demo", given(args.demo)),
        ("--log-format", "log.format", format.map(OsString::from)),
    ]
    .into_iter()
    .filter_map(|(name, key, value)| value.map(|value| Flag { name, key, value }))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    const MACHINE: Machine = Machine {
        cores: 2,
        open_files_max: Some(20_000),
    };

    /// What `serve` with these arguments makes of a file of this text.
    fn settings(file: &str, args: &[&str]) -> Result<Settings, Failure> {
        let written = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(written.path(), file).expect("write");
        let args = ["tenbells", "serve"].iter().chain(args).copied();
        let Command::Serve(args) = parse(args).expect("accepted").command else {
            panic!("serve");
        };
        let sources = Sources {
            file: Some(written.path().to_owned()),
            flags: overrides(&args),
            ..Sources::default()
        };
        Settings::load(&sources, MACHINE).map_err(config_failure)
    }

    #[test]
    fn every_flag_is_the_last_layer() {
        let file = "data_dir = 'file'\nshards = 5\ndrain_ms = 7\n[log]\nformat = 'text'";
        let args = [
            ["--data-dir", "flag"],
            ["--listen", "0.0.0.0:81"],
            ["--admin-listen", "127.0.0.1:82"],
            ["--shards", "3"],
            ["--log-format", "json"],
            ["--behind-proxy", "--demo"],
            ["--tls-certificate", "chain.pem"],
            ["--tls-key", "key.pem"],
        ];
        let config = settings(file, args.as_flattened()).expect("loads").config();
        assert_eq!(config.data_dir, PathBuf::from("flag"));
        assert_eq!(config.listen.to_string(), "0.0.0.0:81");
        assert_eq!(config.admin_listen.to_string(), "127.0.0.1:82");
        assert_eq!((config.shards, config.drain.as_millis()), (3, 7));
        assert_eq!(config.log.format, telemetry::LogFormat::Json);
        assert!(config.behind_proxy && config.demo);
        let tls = config.tls.expect("TLS");
        assert_eq!(tls.certificate, PathBuf::from("chain.pem"));
        assert_eq!(tls.key, PathBuf::from("key.pem"));
        let config = settings(file, &[]).expect("loads").config();
        assert_eq!((config.data_dir, config.shards), (PathBuf::from("file"), 5));
        assert!(!config.behind_proxy && !config.demo);
    }

    #[test]
    fn a_refusal_tells_the_command_line_from_the_configuration() {
        let exit = |file, args: &[&str]| settings(file, args).expect_err("refused").exit();
        assert_eq!(exit("", &["--listen", "0.0.0.0:0"]), Exit::Usage);
        assert_eq!(exit("listen = '0.0.0.0:0'", &[]), Exit::Config);
        assert_eq!(exit("listen = 1", &[]), Exit::Config);
        let file = Some(PathBuf::from("/nonexistent/tenbells.toml"));
        let failure = check_config(CheckConfigArgs { config: file }).expect_err("no file");
        assert_eq!(failure.exit(), Exit::NoInput);
    }
}
