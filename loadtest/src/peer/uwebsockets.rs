//! uWebSockets at its best for one channel with many readers: its own pub/sub tree under one event loop, no compression,
//! a limit of what may wait for a reader that is no limit here. It is a library; the Python package socketify carries
//! it, and a small program of ours does what an application would. Python runs once for each publish, not for a reader.

use super::shelves::says;
use super::{Found, Kind, Launch, Place, Shelves, absent};

/// Below the folder of `loadtest/peers`.
const PYTHONS: [&str; 1] = ["socketify/bin/python"];
const VERSION: &str =
    "import importlib.metadata as m, socketify; print('socketify', m.version('socketify'))";

/// The application: readers subscribe when they open, a POST is published as it is.
const PROGRAM: &str = r#"import sys
from socketify import App, CompressOptions, OpCode

app = App()

def upgrade(res, req, context):
    channel = req.get_query("channel")
    res.upgrade(
        req.get_header("sec-websocket-key"),
        req.get_header("sec-websocket-protocol"),
        req.get_header("sec-websocket-extensions"),
        context,
        {"channel": channel},
    )

def publish(res, req):
    channel = req.get_query("channel")
    body = bytearray()
    def part(res, chunk, is_last):
        if chunk is not None:
            body.extend(chunk)
        if is_last:
            app.publish(channel, bytes(body), OpCode.TEXT)
            res.end("ok")
    res.on_data(part)

app.ws("/read", {
    "compression": CompressOptions.DISABLED,
    "max_payload_length": 65536,
    "idle_timeout": 120,
    "send_pings_automatically": True,
    "max_backpressure": 64 * 1024 * 1024,
    "upgrade": upgrade,
    "open": lambda ws: ws.subscribe(ws.get_user_data()["channel"]),
})
app.post("/publish", publish)
app.listen({"host": "127.0.0.1", "port": int(sys.argv[1])}, lambda config: None)
# Not app.run(): that turns asyncio's loop around without a pause. Nothing here is asynchronous, and libuv's own loop
# sleeps where there is nothing to do.
app.loop.started = True
app.loop.uv_loop.run()
"#;

pub fn find(shelves: &Shelves) -> Result<Found, String> {
    let installed = shelves
        .file(&PYTHONS)
        .into_iter()
        .chain(shelves.program("python3"))
        .find_map(|python| Some((says(&python, &["-c", VERSION], "socketify ")?, python)));
    // An error of Python's names the package too.
    let (version, program) = installed
        .filter(|(version, _)| version.starts_with("socketify "))
        .ok_or_else(|| absent(Kind::UWebSockets, "the Python package socketify"))?;
    Ok(Found {
        kind: Kind::UWebSockets,
        program,
        module: None,
        version,
    })
}

pub fn settings() -> String {
    "one event loop, as a program that publishes has; compression off, no TLS, max_backpressure 64 MiB, pings by itself; \
     libuv's loop, which sleeps, in place of app.run; publisher by HTTP into app.publish"
        .to_owned()
}

pub fn launch(place: &Place) -> Launch {
    let file = place.folder.join("server.py");
    Launch {
        args: vec![
            "-u".to_owned(),
            file.to_string_lossy().into_owned(),
            place.port.to_string(),
        ],
        env: Vec::new(),
        files: vec![(file, PROGRAM.to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_stands_in_the_folder_and_gets_the_port() {
        let place = Place {
            folder: "/tmp/x".into(),
            port: 7702,
            threads: 2,
            readers: 10,
        };
        let launch = launch(&place);
        assert_eq!(launch.files[0].0, place.folder.join("server.py"));
        assert_eq!(launch.args.last().map(String::as_str), Some("7702"));
        assert!(launch.files[0].1.contains("\"host\": \"127.0.0.1\""));
    }
}
