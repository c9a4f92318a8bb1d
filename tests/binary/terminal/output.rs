//! Data that weir itself writes to the terminal has it to itself.

use std::io::Write;

use super::{await_pages, home};
use crate::harness::fifo::Fifo;
use crate::harness::pty::Pty;

#[test]
fn nothing_is_drawn_over_an_output_on_the_same_terminal() {
    for output in [
        "",
        "--tee /dev/tty >/dev/null",
        "--tap \"$(tty)\" >/dev/null",
        "--tee /dev/tty -- cat >/dev/null",
    ] {
        let (fifo, home) = (Fifo::new(), home());
        let script = r#""$WEIR" -N me -i 10ms --metrics "$XDG_RUNTIME_DIR/page" OUTPUT <"$FIFO""#;
        let script = script.replace("OUTPUT", output);
        let name = home.path().to_str().expect("a path");
        let environment = [("FIFO", fifo.name()), ("XDG_RUNTIME_DIR", name)];
        let pty = Pty::run(&script, 10, 100, &environment);
        let mut source = fifo.open();
        source.write_all(b"first\nsecond").expect("fed");
        pty.wait_for(&["second"]);
        await_pages(
            &home.path().join("page"),
            "written_bytes_total{name=\"me\"} 12",
            4,
        );
        let rows = pty.rows();
        assert_eq!(rows[..2], ["first", "second"], "{output}");
        assert!(rows[2..].iter().all(String::is_empty), "{rows:#?}");
        drop(source);
        pty.wait_for(&["weir me: 12B in"]);
    }
}
