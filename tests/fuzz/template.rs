//! Text as a `--format`: what is understood can be printed of any status.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| pipeweir::garbage::template(text));
