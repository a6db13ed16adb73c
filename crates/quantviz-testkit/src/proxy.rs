//! A line between a client and a server that can be cut: what networks do, when a test says so.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

/// Takes connections and passes on what comes, to a server and back. Until it is dropped.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use quantviz_testkit::Proxy;
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = Proxy::new("127.0.0.1:0", server.local_addr()?)?;
/// let mut client = TcpStream::connect(proxy.address())?;
/// let (mut served, _) = server.accept()?;
/// client.write_all(b"hello")?;
/// let mut heard = [0; 5];
/// served.read_exact(&mut heard)?;
///
/// proxy.cut();
/// assert_eq!(client.read(&mut heard)?, 0); // There is nobody at the other end.
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    taking: Option<JoinHandle<()>>,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Whole,
    /// So many more bytes get to the server; then the line is cut.
    UpTo(u64),
    /// The server gets everything. As soon as it answers, the line is cut, and nobody hears the answer.
    Unanswered,
    Cut,
    /// Connections are taken, and nothing that is sent on them arrives, now or later.
    Silent,
}

#[derive(Debug)]
struct Line {
    server: SocketAddr,
    state: Mutex<State>,
    connections: Mutex<Vec<Weak<Connection>>>,
    /// Those that fell silent before there was anybody at the other end.
    unheard: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    is_silent: AtomicBool,
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    There,
    Back,
}

/// What of some bytes gets through.
enum Passage {
    All,
    /// The first of them, and then the line is cut.
    Part(usize),
    /// None, and nobody is told.
    Nothing,
}

impl Proxy {
    /// Takes connections at an address, where port 0 is any that is free, and passes them on to another one.
    ///
    /// # Errors
    /// Where nobody can listen there.
    pub fn new(address: impl ToSocketAddrs, server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let line = Arc::new(Line {
            server,
            state: Mutex::new(State::Whole),
            connections: Mutex::default(),
            unheard: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let (address, its_line) = (listener.local_addr()?, line.clone());
        let taking = std::thread::spawn(move || its_line.take_connections(&listener));
        Ok(Proxy { address, line, taking: Some(taking) })
    }

    /// Where it takes connections.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All connections end, and new ones do at once.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// So many more bytes get to the server, on whichever connection; then the line is cut.
    pub fn cut_after(&self, bytes: u64) {
        self.line.set(State::UpTo(bytes));
    }

    /// Whatever is sent gets to the server; when it answers, the line is cut before anybody hears it.
    pub fn cut_the_answer(&self) {
        self.line.set(State::Unanswered);
    }

    /// From now on nothing arrives, and nobody is told. Connections that something is sent on meanwhile stay like that.
    pub fn swallow(&self) {
        self.line.set(State::Silent);
    }

    /// Everything is passed on again.
    pub fn restore(&self) {
        self.line.set(State::Whole);
    }

    /// Whether the line is cut.
    pub fn is_cut(&self) -> bool {
        *self.line.state() == State::Cut
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.is_over.store(true, Ordering::SeqCst);
        self.line.cut();
        lock(&self.line.unheard).clear();
        // So that it looks up.
        drop(TcpStream::connect(self.address));
        if let Some(taking) = self.taking.take() {
            let _ = taking.join();
        }
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn set(&self, state: State) {
        *self.state() = state;
    }

    fn cut(&self) {
        self.set(State::Cut);
        self.end_all();
    }

    fn end_all(&self) {
        for connection in lock(&self.connections).drain(..).filter_map(|it| it.upgrade()) {
            connection.end();
        }
    }

    fn take_connections(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let Ok(client) = client else { continue };
            let state = *self.state();
            match state {
                State::Cut => drop(client),
                State::Silent => lock(&self.unheard).push(client),
                State::Whole | State::UpTo(_) | State::Unanswered => self.pass_on(client),
            }
        }
    }

    /// Where there is no server, there is no connection.
    fn pass_on(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else { return };
        let connection = Arc::new(Connection { client, server, is_silent: AtomicBool::new(false) });
        let mut connections = lock(&self.connections);
        connections.retain(|it| it.strong_count() > 0);
        connections.push(Arc::downgrade(&connection));
        drop(connections);
        // It may have been cut since it was looked at.
        if *self.state() == State::Cut {
            return connection.end();
        }
        for way in [Way::There, Way::Back] {
            let (line, connection) = (self.clone(), connection.clone());
            std::thread::spawn(move || line.pass(&connection, way));
        }
    }

    fn pass(&self, connection: &Connection, way: Way) {
        let (mut from, mut to) = match way {
            Way::There => (&connection.client, &connection.server),
            Way::Back => (&connection.server, &connection.client),
        };
        let mut buffer = [0; 16 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(_) => return connection.end(),
            };
            match self.passage(connection, way, read) {
                Passage::All if to.write_all(&buffer[..read]).is_ok() => {}
                Passage::All => return connection.end(),
                Passage::Nothing => {}
                Passage::Part(bytes) => {
                    let _ = to.write_all(&buffer[..bytes]);
                    return self.end_all();
                }
            }
        }
        // One side has nothing more to say; in the silence, nobody hears that either.
        if !connection.is_silent.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    fn passage(&self, connection: &Connection, way: Way, bytes: usize) -> Passage {
        let mut state = self.state();
        if *state == State::Silent {
            connection.is_silent.store(true, Ordering::SeqCst);
        }
        if connection.is_silent.load(Ordering::SeqCst) {
            return Passage::Nothing;
        }
        match (*state, way) {
            (State::UpTo(left), Way::There) if left <= bytes as u64 => {
                *state = State::Cut;
                Passage::Part(usize::try_from(left).unwrap_or(bytes))
            }
            (State::UpTo(left), Way::There) => {
                *state = State::UpTo(left - bytes as u64);
                Passage::All
            }
            (State::Unanswered, Way::Back) | (State::Cut, _) => {
                *state = State::Cut;
                Passage::Part(0)
            }
            _ => Passage::All,
        }
    }
}

impl Connection {
    /// It may have ended already.
    fn end(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change here is one assignment, or one thing in a list.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Answers every four bytes with the same four, and tells what it has got.
    fn echo() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, got) = (listener.local_addr().expect("bound"), Arc::new(Mutex::new(Vec::new())));
        let heard = got.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, heard) = (stream.expect("a client"), heard.clone());
                std::thread::spawn(move || {
                    let mut buffer = [0; 4];
                    let mut filled = 0;
                    while let Ok(read @ 1..) = stream.read(&mut buffer[filled..]) {
                        lock(&heard).extend_from_slice(&buffer[filled..filled + read]);
                        filled += read;
                        if filled == buffer.len() {
                            filled = 0;
                            let _ = stream.write_all(&buffer);
                        }
                    }
                });
            }
        });
        (address, got)
    }

    fn client(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
        stream
    }

    fn ask(stream: &mut TcpStream) -> Result<[u8; 4]> {
        let mut answer = [0; 4];
        stream.write_all(b"ping")?;
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn a_line_is_cut_and_restored() {
        let (server, _) = echo();
        let proxy = Proxy::new("127.0.0.1:0", server).expect("a port");
        let mut before = client(&proxy);
        assert_eq!(ask(&mut before).expect("answered"), *b"ping");
        proxy.cut();
        assert!(ask(&mut before).is_err() && ask(&mut client(&proxy)).is_err());
        proxy.restore();
        assert!(ask(&mut before).is_err(), "what was cut stays so");
        assert_eq!(ask(&mut client(&proxy)).expect("answered"), *b"ping");
    }

    #[test]
    fn the_line_breaks_in_the_middle_of_what_is_sent() {
        let (server, got) = echo();
        let proxy = Proxy::new("127.0.0.1:0", server).expect("a port");
        proxy.cut_after(6);
        let mut stream = client(&proxy);
        assert_eq!(ask(&mut stream).expect("all of it got there"), *b"ping");
        assert!(ask(&mut stream).is_err() && proxy.is_cut());
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(*lock(&got), *b"pingpi");
    }

    #[test]
    fn what_was_done_is_not_heard_of() {
        let (server, got) = echo();
        let proxy = Proxy::new("127.0.0.1:0", server).expect("a port");
        proxy.cut_the_answer();
        assert!(ask(&mut client(&proxy)).is_err() && proxy.is_cut());
        assert_eq!(*lock(&got), *b"ping");
    }

    #[test]
    fn a_black_hole_answers_nobody_and_refuses_nobody() {
        let (server, got) = echo();
        let proxy = Proxy::new("127.0.0.1:0", server).expect("a port");
        let mut before = client(&proxy);
        assert!(ask(&mut before).is_ok());
        proxy.swallow();
        let mut during = client(&proxy);
        for stream in [&mut before, &mut during] {
            let error = ask(stream).expect_err("nobody answers");
            assert!(
                matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
                "{error}"
            );
        }
        assert_eq!(*lock(&got), *b"ping");
        proxy.restore();
        assert!(ask(&mut before).is_err(), "what was swallowed is gone, and what follows has no meaning");
        assert!(ask(&mut client(&proxy)).is_ok());
    }
}
