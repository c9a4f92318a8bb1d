//! A connection to a store, whatever it is that answers there.
//!
//! The protocol is the client library's: it packs what is asked and parses what is answered. How much is read, and how
//! long that may take, is bounded here, for the library collects an answer of any length, and waits for each part of it
//! as long as for the first.
//!
//! Invariant: an answer has at most [`ANSWER_MOST`] bytes and is whole when the timeout ends, or the call has failed.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use redis::{ConnectionLike, ErrorKind, Parser, RedisResult, Value};

/// The longest answer: a lease has about a hundred bytes, and an error some hundreds.
const ANSWER_MOST: usize = 65_536;

/// For so long an answer is waited for at least when weir was stopped.
const AFTER_A_STOP: Duration = Duration::from_millis(1);

/// A connection that is used by one call at a time. After one that has failed it is of no use.
pub(super) struct Connection {
    stream: TcpStream,
    parser: Parser,
    timeout: Duration,
}

impl Connection {
    /// Connects to one of the host's addresses; each is tried for so long.
    ///
    /// # Errors
    /// What the last of them said.
    pub(super) fn open(host: &str, port: u16, timeout: Duration) -> io::Result<Connection> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Connection {
                        stream,
                        parser: Parser::new(),
                        timeout,
                    });
                }
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }

    /// How long a call may take from now on.
    pub(super) fn wait_for(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        let mut call = Call {
            stream: &self.stream,
            until: Instant::now() + self.timeout,
            left: ANSWER_MOST,
        };
        call.write_all(command)?;
        let answer = self.parser.parse_value(&mut call);
        answer.map_err(|e| match call.left {
            0 => (ErrorKind::Parse, "an answer without end").into(),
            _ => e,
        })
    }

    fn req_packed_commands(&mut self, _: &[u8], _: usize, _: usize) -> RedisResult<Vec<Value>> {
        Err((ErrorKind::Client, "one command at a time").into())
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").query::<()>(self).is_ok()
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// One question and its answer.
struct Call<'a> {
    stream: &'a TcpStream,
    until: Instant,
    /// Bytes that the answer may still have.
    left: usize,
}

impl Call<'_> {
    /// The time that is left, which is some.
    fn time(&self) -> io::Result<Duration> {
        let time = self.until.saturating_duration_since(Instant::now());
        match time.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(time),
        }
    }
}

impl Read for Call<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        let mut time = self.time()?;
        loop {
            self.stream.set_read_timeout(Some(time))?;
            match self.stream.read(&mut buffer[..most]) {
                // We were stopped meanwhile, for however long: what has been answered is there.
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                    time = self.time().unwrap_or(AFTER_A_STOP);
                }
                read => {
                    let read = read?;
                    self.left -= read;
                    return Ok(read);
                }
            }
        }
    }
}

impl Write for Call<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.time()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
