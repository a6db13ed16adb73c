//! Servers that tests talk to: started on a free port of this machine, and stopped whatever becomes of the tests.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{shown, succeeds};

/// A server that runs until this is dropped, or until we end in any other way: its shell waits for the end of its own input,
/// which comes with ours, and ends everything that it has started.
pub(crate) struct Server {
    shell: Child,
    pub(crate) address: SocketAddr,
}

/// `kill 0` is for all that the shell has started, and for itself.
const UNTIL_THE_END: &str = r#"{ "$@"; kill 0; } & read -r _; kill 0"#;
const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    /// Starts what `command` makes of a port, and waits until somebody answers there. What it says goes to a file.
    pub(crate) fn start(log: &Path, command: impl FnOnce(u16) -> Command) -> Result<Self> {
        let address = free_address()?;
        let command = command(address.port());
        println!("$ {} &", shown(&command));
        let file = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let copy = file.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", UNTIL_THE_END, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.stdin(Stdio::piped()).stdout(file).stderr(copy);
        alone(&mut shell);
        let shell = shell.spawn().map_err(|error| format!("cannot start sh: {error}"))?;
        let mut server = Server { shell, address };
        server.wait_until_it_answers(log)?;
        Ok(server)
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Result {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return Err(format!("the server has ended at once; {} has what it said", log.display()));
            }
            if Instant::now() > until {
                return Err(format!("the server does not answer; {} has what it said", log.display()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Sends a request without a body, and expects that it succeeds.
    pub(crate) fn put(&self, path: &str) -> Result {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.address)?;
            let host = self.address;
            write!(
                stream,
                "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().map_err(|error| format!("PUT {path}: {error}"))?;
        let status = answer.lines().next().unwrap_or_default();
        if status.contains(" 200 ") { Ok(()) } else { Err(format!("PUT {path}: {status}")) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // They have nothing that is worth keeping.
        let group = format!("-{}", self.shell.id());
        succeeds(Command::new("kill").args(["-KILL", "--", &group]));
        let _ = self.shell.wait();
    }
}

/// A group of its own, so that all of it can be ended.
#[cfg(unix)]
fn alone(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn alone(_: &mut Command) {}

/// An address that nobody listens at, at this moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    listener.map_err(|error| format!("no port is free on this machine: {error}"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Python, since a shell cannot listen.
    fn listen(port: u16) -> Command {
        let mut command = Command::new("python3");
        command.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]);
        command
    }

    #[test]
    fn a_server_and_its_children_end() {
        let folder = std::env::temp_dir().join(format!("quantviz-server-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("made");
        let server = Server::start(&folder.join("log"), |port| {
            let mut command = Command::new("sh");
            // A child of a child.
            let python = shown(&listen(port));
            command.args(["-c", &format!("{python} & wait")]);
            command
        });
        let server = server.expect("it answers");
        let address = server.address;
        drop(server);
        // Whoever was killed dies a moment later.
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < until, "somebody still answers");
            std::thread::sleep(Duration::from_millis(10));
        }
        let error = Server::start(&folder.join("log"), |_| Command::new("false")).err();
        assert!(error.is_some_and(|it| it.contains("ended at once")));
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
