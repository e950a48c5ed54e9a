//! Between a program and a server that speaks HTTP: what was asked is written down, and some of it goes no further.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server answers.
    Passed,
    /// It is answered with this status line and text.
    Refused(&'static str, &'static str),
    /// It is never answered.
    Held,
}

/// What was asked, such as `GET /bucket/key`, with the bytes that were asked for if only some were.
pub type Requests = Arc<Mutex<Vec<String>>>;

/// A running proxy, for requests without a body. It ends with the test.
pub struct Proxy {
    port: u16,
    requests: Requests,
    held: Receiver<String>,
}

impl Proxy {
    /// Before the server at a port.
    pub fn start(server: u16, fate: impl Fn(&str) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Requests::default();
        let (sender, held) = channel();
        let (fate, seen) = (Arc::new(fate), Arc::clone(&requests));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (fate, seen, sender) = (Arc::clone(&fate), Arc::clone(&seen), sender.clone());
                std::thread::spawn(move || {
                    // The program goes away whenever it likes.
                    serve(client, server, &*fate, &seen, &sender).ok();
                });
            }
        });
        Self { port, requests, held }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked since this was last asked, sorted.
    pub fn take_requests(&self) -> Vec<String> {
        let mut requests = std::mem::take(&mut *self.requests.lock().unwrap());
        requests.sort();
        requests
    }

    /// Waits for a request that is held.
    pub fn wait_until_held(&self) -> String {
        self.held.recv_timeout(super::PATIENCE).unwrap()
    }
}

fn serve(
    mut client: TcpStream,
    server: u16,
    fate: &dyn Fn(&str) -> Fate,
    seen: &Requests,
    held: &Sender<String>,
) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(("127.0.0.1", server))?;
    let (mut answers, mut back) = (upstream.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        std::io::copy(&mut answers, &mut back).ok();
        back.shutdown(Shutdown::Both).ok();
    });
    let mut head = Vec::new();
    let mut byte = [0];
    while client.read(&mut byte)? > 0 {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let asked = asked(&String::from_utf8_lossy(&head));
        seen.lock().unwrap().push(asked.clone());
        match fate(&asked) {
            Fate::Passed => upstream.write_all(&head)?,
            Fate::Refused(status, text) => {
                write!(client, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{text}", text.len())?;
            }
            Fate::Held => {
                held.send(asked).ok();
            }
        }
        head.clear();
    }
    upstream.shutdown(Shutdown::Both)
}

fn asked(head: &str) -> String {
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let range = lines.find_map(|line| line.to_ascii_lowercase().strip_prefix("range: ").map(str::to_owned));
    match range {
        Some(range) => format!("{line} {range}"),
        None => line,
    }
}
