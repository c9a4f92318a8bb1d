//! Text that may be a value of any kind: what is understood prints as the same, and what is not is refused in one line.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| pipeweir::garbage::values(text));
