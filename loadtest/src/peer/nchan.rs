//! nchan at its best for one channel with many readers: WebSocket, one nginx worker for each thread, no access log,
//! messages not stored beyond their delivery, shared memory that is never the limit.

use std::path::Path;

use super::shelves::says;
use super::{Found, Kind, Launch, Place, Shelves, absent};

/// Below the folder of `loadtest/peers`, and where Debian puts them.
const PROGRAMS: [&str; 1] = ["nchan/usr/sbin/nginx"];
const MODULES: [&str; 2] = [
    "nchan/usr/lib/nginx/modules/ngx_nchan_module.so",
    "/usr/lib/nginx/modules/ngx_nchan_module.so",
];
/// Descriptors of a worker that are no reader's.
const SPARE: u32 = 256;

pub fn find(shelves: &Shelves) -> Result<Found, String> {
    let program = shelves
        .file(&PROGRAMS)
        .or_else(|| shelves.program("nginx"))
        .ok_or_else(|| absent(Kind::Nchan, "the program nginx"))?;
    let module = shelves
        .file(&MODULES)
        .ok_or_else(|| absent(Kind::Nchan, "nginx's module nchan"))?;
    let nginx = says(&program, &["-v"], "nginx")
        .ok_or_else(|| absent(Kind::Nchan, "an nginx that can be started"))?;
    let nginx = nginx.trim_start_matches("nginx version: ").to_owned();
    let version = beside(&module).map_or_else(
        || nginx.clone(),
        |nchan| format!("libnginx-mod-nchan {nchan}, {nginx}"),
    );
    Ok(Found {
        kind: Kind::Nchan,
        program,
        module: Some(module),
        version,
    })
}

/// The module's version: `loadtest/peers` writes it down, else Debian knows it.
fn beside(module: &Path) -> Option<String> {
    let noted = module
        .ancestors()
        .map(|folder| folder.join("nchan.version"))
        .find_map(|file| std::fs::read_to_string(file).ok());
    if let Some(noted) = noted {
        return Some(noted.trim().to_owned());
    }
    let query = ["-W", "-f=${Version}", "libnginx-mod-nchan"];
    says(Path::new("dpkg-query"), &query, ":").filter(|version| !version.contains(' '))
}

pub fn settings(threads: u32) -> String {
    format!(
        "worker_processes {threads}; WebSocket; nchan_store_messages off; nchan_shared_memory_size 256M; access_log off; \
         keep-alive of publishers without limit"
    )
}

pub fn launch(place: &Place, module: Option<&Path>) -> Launch {
    let file = place.folder.join("nginx.conf");
    let folder = place.folder.to_string_lossy().into_owned();
    Launch {
        args: vec![
            "-p".to_owned(),
            folder.clone(),
            "-e".to_owned(),
            "stderr".to_owned(),
            "-c".to_owned(),
            file.to_string_lossy().into_owned(),
        ],
        env: Vec::new(),
        files: vec![(file, config(place, &folder, module))],
    }
}

fn config(place: &Place, folder: &str, module: Option<&Path>) -> String {
    let load = module.map_or_else(String::new, |module| {
        format!("load_module \"{}\";\n", module.display())
    });
    let descriptors = place.readers + SPARE;
    // Where less than a sixteenth of them is free, nginx closes connections that it takes for idle: also readers.
    let connections = descriptors + descriptors / 4;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path \"{folder}/{name}\";\n"))
        .collect();
    format!(
        "{load}daemon off;\nworker_processes {threads};\nworker_rlimit_nofile {descriptors};\n\
         pid \"{folder}/nginx.pid\";\nerror_log stderr error;\n\
         events {{ worker_connections {connections}; }}\n\
         http {{\n{temporary}  access_log off;\n  keepalive_timeout 3600s;\n  keepalive_requests 1000000000;\n  \
         client_max_body_size 4m;\n  client_body_buffer_size 256k;\n  nchan_shared_memory_size 256M;\n  server {{\n    \
         listen 127.0.0.1:{port} backlog=4096;\n    \
         location = /publish {{ nchan_publisher http; nchan_channel_id $arg_channel; nchan_store_messages off; }}\n    \
         location = /read {{ nchan_subscriber websocket; nchan_channel_id $arg_channel; nchan_store_messages off; \
         nchan_subscriber_first_message newest; }}\n  }}\n}}\n",
        threads = place.threads,
        port = place.port,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_config_has_room_for_all_readers_on_loopback() {
        let place = Place {
            folder: "/tmp/x".into(),
            port: 7701,
            threads: 2,
            readers: 5_000,
        };
        let launch = launch(&place, Some(Path::new("/m/ngx_nchan_module.so")));
        let (file, text) = &launch.files[0];
        assert_eq!(file, &place.folder.join("nginx.conf"));
        assert!(text.starts_with("load_module \"/m/ngx_nchan_module.so\";\n"));
        for line in [
            "worker_processes 2;",
            "worker_rlimit_nofile 5256;",
            "worker_connections 6570;",
            "listen 127.0.0.1:7701 ",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        assert!(launch.args.contains(&"-c".to_owned()));
    }

    #[test]
    fn the_noted_version_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let module = folder.path().join("a/b/m.so");
        std::fs::write(folder.path().join("nchan.version"), "1.3.6\n").expect("a file");
        assert_eq!(beside(&module).as_deref(), Some("1.3.6"));
    }
}
