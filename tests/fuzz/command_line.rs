//! Text as a whole command line: it is understood or refused in one line, and nothing panics.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| pipeweir::garbage::command_line(text));
