//! Bytes as a file of a spool, with checksums that fit and without: what is understood is written as the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeweir::garbage::spool_file(bytes));
