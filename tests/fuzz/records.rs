//! Bytes as a stream in pieces: records are counted the same as in one piece.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeweir::garbage::records(bytes));
