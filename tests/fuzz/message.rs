//! A line of bytes that came through the control socket: what is understood, sent on, is understood the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeweir::garbage::message(bytes));
