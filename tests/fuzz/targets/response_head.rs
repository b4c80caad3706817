//! Entry point of the fuzzing engine; see `src/response_head.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| floodgate_fuzz::response_head::check(input));
