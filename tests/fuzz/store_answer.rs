//! Bytes as the answer of a store that shares a cap: it is a lease or is turned away.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeweir::garbage::store_answer(bytes));
