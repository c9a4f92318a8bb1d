#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| pipeweir::garbage::template(text));
