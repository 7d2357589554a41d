//! What no type and no single bound can say: whether settings are safe, possible on this machine, and go together.
//!
//! A server that nobody configured can be reached from its own machine alone; each step out of that takes a setting
//! that says so.

use std::net::SocketAddr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::form::Engine;
use super::machine::FILES_RESERVED;
use super::settings::Layers;
use super::{ConfigError, Machine};
use super::{limits, tokens};

/// Most origins on the list: it is gone through at every request of a page.
const ORIGINS_MAX: usize = 100;

/// Checks settled layers.
pub(super) fn check(layers: &Layers, machine: Machine) -> Result<(), ConfigError> {
    data_dir(layers)?;
    templates(layers)?;
    nats(layers)?;
    tls(layers)?;
    listeners(layers)?;
    public_url(layers)?;
    origins(layers)?;
    connections(layers, machine)?;
    bodies(layers)?;
    limits::check(layers)?;
    tokens::check(layers)?;
    log_level(layers)
}

pub(super) fn refused(
    layers: &Layers,
    key: &'static str,
    value: impl ToString,
    reason: impl Into<String>,
) -> ConfigError {
    ConfigError::Refused {
        key,
        value: value.to_string(),
        origin: layers.origin(key),
        reason: reason.into(),
    }
}

fn data_dir(layers: &Layers) -> Result<(), ConfigError> {
    let folder = &layers.form.data_dir;
    if folder.is_empty() || folder.contains('\0') {
        let value = format!("{folder:?}");
        return Err(refused(layers, "data_dir", value, "which names no folder"));
    }
    Ok(())
}

/// What is in the folder is seen when it is opened.
fn templates(layers: &Layers) -> Result<(), ConfigError> {
    match &layers.form.pages.templates {
        Some(folder) if folder.is_empty() || folder.contains('\0') => {
            let value = format!("{folder:?}");
            Err(refused(
                layers,
                "pages.templates",
                value,
                "which names no folder",
            ))
        }
        _ => Ok(()),
    }
}

/// Most servers that are named.
const NATS_SERVERS_MAX: usize = 16;

/// A shared log needs servers, and names that can stand in a subject.
fn nats(layers: &Layers) -> Result<(), ConfigError> {
    let form = &layers.form.nats;
    let is_shared = layers.form.engine == Engine::Nats;
    if is_shared && form.servers.is_empty() {
        let reason =
            "which needs the servers of the log: nats.servers (--nats nats://a:4222,nats://b:4222)";
        return Err(refused(layers, "engine", "\"nats\"", reason));
    }
    if !is_shared && !form.servers.is_empty() {
        let reason = "which are of no use without engine = \"nats\" (--engine nats)";
        return Err(refused(
            layers,
            "nats.servers",
            // Their URLs may have a password.
            form.servers.len(),
            reason,
        ));
    }
    if is_shared && layers.form.demo {
        let reason = "and a demo keeps nothing: it plays on one node, without a shared log";
        return Err(refused(layers, "demo", true, reason));
    }
    if form.servers.len() > NATS_SERVERS_MAX {
        let reason = format!("the limit is {NATS_SERVERS_MAX} servers");
        return Err(refused(layers, "nats.servers", form.servers.len(), reason));
    }
    for server in &form.servers {
        let known = Url::parse(server)
            .is_ok_and(|url| matches!(url.scheme(), "nats" | "tls") && url.host_str().is_some());
        if !known {
            let reason = "a server is nats://host:port, or tls://host:port";
            return Err(refused(
                layers,
                "nats.servers",
                // The URL may have a password.
                server.rsplit('@').next().unwrap_or_default(),
                reason,
            ));
        }
    }
    let names = [
        ("nats.prefix", Some(&form.prefix)),
        ("nats.node", form.node.as_ref()),
    ];
    for (key, name) in names {
        if let Some(name) = name
            && !is_token(name)
        {
            let reason = "it can have 1 to 32 of a-z, 0-9, - and _";
            return Err(refused(layers, key, format!("{name:?}"), reason));
        }
    }
    Ok(())
}

fn is_token(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

/// A certificate and its key come together; what is in the files is seen when they are opened.
fn tls(layers: &Layers) -> Result<(), ConfigError> {
    let form = &layers.form.tls;
    let pair = [
        ("tls.certificate", &form.certificate),
        ("tls.key", &form.key),
    ];
    for (key, path) in pair {
        if let Some(path) = path
            && (path.is_empty() || path.contains('\0'))
        {
            return Err(refused(
                layers,
                key,
                format!("{path:?}"),
                "which names no file",
            ));
        }
    }
    let missing = match (&form.certificate, &form.key) {
        (Some(path), None) => Some(("tls.certificate", path, "tls.key", "--tls-key")),
        (None, Some(path)) => Some(("tls.key", path, "tls.certificate", "--tls-certificate")),
        _ => None,
    };
    match missing {
        Some((key, path, other, flag)) => {
            let reason = format!("which is of no use without {other} ({flag})");
            Err(refused(layers, key, format!("{path:?}"), reason))
        }
        None => Ok(()),
    }
}

fn listeners(layers: &Layers) -> Result<(), ConfigError> {
    let form = &layers.form;
    let (public, admin) = (form.listen, form.admin_listen);
    if in_the_open(public) && !form.behind_proxy && form.tls.certificate.is_none() {
        let reason = "which other machines can reach, without TLS: give a certificate ([tls], or --tls-certificate and \
                      --tls-key), or put a proxy that does TLS in front and set behind_proxy = true (--behind-proxy), \
                      or listen on 127.0.0.1";
        return Err(refused(layers, "listen", public, reason));
    }
    if in_the_open(admin) && !form.admin_public {
        let reason = "which other machines can reach, and health and metrics ask for no key: listen on 127.0.0.1, or \
                      set admin_public = true where the network keeps strangers out";
        return Err(refused(layers, "admin_listen", admin, reason));
    }
    let overlap =
        public.ip() == admin.ip() || public.ip().is_unspecified() || admin.ip().is_unspecified();
    if public.port() != 0 && public.port() == admin.port() && overlap {
        let reason = format!(
            "which listen ({public}, {}) takes already: give it a port of its own",
            layers.origin("listen")
        );
        return Err(refused(layers, "admin_listen", admin, reason));
    }
    Ok(())
}

fn in_the_open(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

fn public_url(layers: &Layers) -> Result<(), ConfigError> {
    let Some(text) = &layers.form.public_url else {
        return Ok(());
    };
    let wrong = |reason: String| Err(refused(layers, "public_url", format!("{text:?}"), reason));
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => {
            return wrong(
                "it must be an http or https URL such as https://live.example".to_owned(),
            );
        }
    };
    if url.query().is_some() || url.fragment().is_some() {
        return wrong(
            "it must be without a query and a fragment: paths are put behind it".to_owned(),
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            "it must be without a name and a password: everyone gets to see it".to_owned(),
        );
    }
    let written = url.as_str().trim_end_matches('/');
    if written != text.trim_end_matches('/') {
        return wrong(format!(
            "which links would not look like: write it as {written}"
        ));
    }
    Ok(())
}

fn origins(layers: &Layers) -> Result<(), ConfigError> {
    let origins = &layers.form.origins;
    if origins.len() > ORIGINS_MAX {
        let reason = format!("the limit is {ORIGINS_MAX}");
        let value = format!("{} origins long", origins.len());
        return Err(refused(layers, "origins", value, reason));
    }
    for text in origins {
        let wrong = |reason: String| {
            let value = format!("a list with {text:?}");
            Err(refused(layers, "origins", value, reason))
        };
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && !text.contains('*') => url,
            _ => {
                return wrong(
                    "which is no exact origin: write https://host or https://host:port, and each one by itself"
                        .to_owned(),
                );
            }
        };
        // What a browser sends (RFC 6454): lower case, no path, no default port. Anything else would never match.
        let sent = url.origin().ascii_serialization();
        if *text != sent {
            return wrong(format!(
                "which no browser sends like that: write it as {sent}"
            ));
        }
    }
    Ok(())
}

fn connections(layers: &Layers, machine: Machine) -> Result<(), ConfigError> {
    let form = &layers.form.http;
    let (Some(max), Some(reserved)) = (form.connections_max, form.reserved_for_publishers) else {
        return Ok(());
    };
    if let (Some(files), Some(allowed)) = (machine.open_files_max, machine.connections_max())
        && max.unsigned_abs() > allowed
    {
        let reason = format!(
            "but this process may have {files} files open, and {FILES_RESERVED} are kept for everything else, which \
             leaves {allowed}: allow it more (LimitNOFILE= in systemd, ulimit -n in a shell), or lower the setting"
        );
        return Err(refused(layers, "http.connections_max", max, reason));
    }
    if reserved >= max {
        let reason = format!(
            "which leaves no connection for readers: it must be less than http.connections_max, {max} ({})",
            layers.origin("http.connections_max")
        );
        return Err(refused(
            layers,
            "http.reserved_for_publishers",
            reserved,
            reason,
        ));
    }
    Ok(())
}

fn bodies(layers: &Layers) -> Result<(), ConfigError> {
    let form = &layers.form.http;
    if form.batch_bytes_max < form.body_bytes_max {
        let reason = format!(
            "but a batch must be able to hold what a single request can: http.body_bytes_max is {} ({})",
            form.body_bytes_max,
            layers.origin("http.body_bytes_max")
        );
        return Err(refused(
            layers,
            "http.batch_bytes_max",
            form.batch_bytes_max,
            reason,
        ));
    }
    Ok(())
}

fn log_level(layers: &Layers) -> Result<(), ConfigError> {
    let level = &layers.form.log.level;
    let wrong = |reason: String| Err(refused(layers, "log.level", format!("{level:?}"), reason));
    if let Err(error) = EnvFilter::try_new(level) {
        return wrong(format!("which is no level or filter: {error}"));
    }
    // A filter takes any bare word for the name of a module; what was meant is a level, and "wran" would log nothing.
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let bare = |part: &&str| !part.contains(['=', '[']) && !is_level(part);
    if let Some(word) = level.split(',').map(str::trim).find(bare) {
        return wrong(format!(
            "but {word:?} is none of off, error, warn, info, debug, trace; a module's level is written as \
             tenbells::store=debug"
        ));
    }
    Ok(())
}
