#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| pipeweir::garbage::values(text));
