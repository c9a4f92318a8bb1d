//! Weir between two pipes whose other ends are in the test's hand, one step at a time.

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_setpipe_size;

use super::{DEADLINE, Ended, Running, collect, data, start, weir};

/// A pipeline `test | weir | test` and the books that the test keeps of it.
pub(crate) struct Line {
    pub weir: Running,
    input: Option<PipeWriter>,
    output: PipeReader,
    /// Everything that will ever be sent, in order.
    script: &'static [u8],
    sent: usize,
    taken: usize,
}

/// The same for every line, since it takes time to make.
fn script() -> &'static [u8] {
    static SCRIPT: OnceLock<Vec<u8>> = OnceLock::new();
    SCRIPT.get_or_init(|| data(8 << 20, 1))
}

impl Line {
    /// `test | weir ARGS | test`.
    pub(crate) fn new(args: &[&str]) -> Line {
        Line::with(weir(args))
    }

    /// The same, with this much sent before weir is started: it never waits for that.
    #[track_caller]
    pub(crate) fn prefilled(args: &[&str], n: usize) -> Line {
        let (stdin, mut input) = pipe().expect("make a pipe");
        fcntl_setpipe_size(&input, n.next_power_of_two().max(64 << 10)).expect("a large pipe");
        input.write_all(&script()[..n]).expect("there is room");
        let line = Line::between(weir(args), stdin, input);
        Line { sent: n, ..line }
    }

    /// The same around another command.
    pub(crate) fn with(command: Command) -> Line {
        let (stdin, input) = pipe().expect("make a pipe");
        Line::between(command, stdin, input)
    }

    fn between(command: Command, stdin: PipeReader, input: PipeWriter) -> Line {
        let (output, stdout) = pipe().expect("make a pipe");
        // Of our own end only: weir's has flags of its own.
        let flags = fcntl_getfl(&input).expect("read flags");
        fcntl_setfl(&input, flags | OFlags::NONBLOCK).expect("set flags");
        Line {
            weir: start(command, stdin, stdout),
            input: Some(input),
            output,
            script: script(),
            sent: 0,
            taken: 0,
        }
    }

    fn input(&mut self) -> &mut PipeWriter {
        self.input.as_mut().expect("the input is closed")
    }

    /// Sends exactly this many bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, n: usize) {
        let end = self.sent + n;
        while self.sent < end {
            wait(self.input(), PollFlags::OUT);
            self.send_some(end);
        }
    }

    /// Sends up to this place in the script what there is room for; false when there is none.
    fn send_some(&mut self, end: usize) -> bool {
        // A page at a time, so that a full pipe is full to the last byte.
        let chunk = &self.script[self.sent..end.min(self.sent + 4096)];
        let input = self.input.as_mut().expect("the input is closed");
        let sent = match input.write(chunk) {
            Ok(sent) => sent,
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(e) => panic!("nobody reads what is sent: {e}"),
        };
        self.sent += sent;
        sent > 0
    }

    /// Sends until no more is taken and nothing moves.
    #[track_caller]
    pub(crate) fn stuff(&mut self) {
        loop {
            while self.send_some(self.script.len()) {}
            assert!(self.sent < self.script.len(), "the script is too short");
            self.weir.settle();
            let mut room = [PollFd::new(self.input(), PollFlags::OUT)];
            if poll(&mut room, Some(&Timespec::default())) == Ok(0) {
                return;
            }
        }
    }

    /// Takes exactly this many bytes and checks each of them.
    #[track_caller]
    pub(crate) fn take(&mut self, n: usize) {
        let mut bytes = vec![0; n];
        let mut got = 0;
        while got < n {
            wait(&self.output, PollFlags::IN);
            match self.output.read(&mut bytes[got..]).expect("read") {
                0 => panic!("the output ended after {} bytes", self.taken + got),
                more => got += more,
            }
        }
        let wanted = &self.script[self.taken..self.taken + n];
        super::assert_same(&bytes, wanted, "what weir passed on");
        self.taken += n;
    }

    /// Starts the script again, once everything that was sent has been taken.
    pub(crate) fn rewind(&mut self) {
        assert_eq!(self.sent, self.taken, "something is still on its way");
        (self.sent, self.taken) = (0, 0);
    }

    /// Bytes that wait in the pipe before weir.
    pub(crate) fn before(&mut self) -> usize {
        ioctl_fionread(self.input()).expect("FIONREAD") as usize
    }

    /// Bytes that wait in the pipe behind weir.
    pub(crate) fn behind(&self) -> usize {
        ioctl_fionread(&self.output).expect("FIONREAD") as usize
    }

    /// Bytes that weir holds, by the test's books. Only for a weir that has settled.
    pub(crate) fn held(&mut self) -> usize {
        self.sent - self.taken - self.before() - self.behind()
    }

    /// Ends the input.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// What has been sent so far.
    pub(crate) fn script(&self) -> &'static [u8] {
        &self.script[..self.sent]
    }

    /// Bytes sent so far.
    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    /// Our end of the pipe before weir.
    pub(crate) fn input_pipe(&mut self) -> &PipeWriter {
        self.input()
    }

    /// Our end of the pipe behind weir.
    pub(crate) fn output_pipe(&self) -> &PipeReader {
        &self.output
    }

    /// Waits for weir to end although nobody takes anything from it.
    #[track_caller]
    pub(crate) fn ends_untouched(&mut self) {
        super::eventually("weir ends", || !self.weir.is_alive());
    }

    /// The consumer goes away; waits for weir to end.
    #[track_caller]
    pub(crate) fn leave(self) -> Ended {
        drop(self.output);
        self.weir.end()
    }

    /// Takes whatever still comes, and checks that it is the first `wanted` bytes of what was
    /// sent; waits for weir to end.
    #[track_caller]
    pub(crate) fn finish(self, wanted: usize) -> Ended {
        let rest = collect(self.output).done();
        let wanted = &self.script[self.taken..wanted];
        super::assert_same(&rest, wanted, "what weir still passed on");
        self.weir.end()
    }
}

/// Waits until the descriptor is ready, or its other end has gone.
#[track_caller]
pub(crate) fn wait(fd: &impl std::os::fd::AsFd, what: PollFlags) {
    let until = Instant::now() + DEADLINE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a short time");
        match poll(&mut [PollFd::new(fd, what)], Some(&left)) {
            Ok(0) => panic!("nothing moves: waited in vain for {what:?}"),
            Ok(_) => return,
            Err(_) => {}
        }
    }
}
