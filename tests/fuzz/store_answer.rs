#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeweir::garbage::store_answer(bytes));
