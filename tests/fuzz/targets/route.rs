//! Entry point of the fuzzing engine; see `src/route.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| floodgate_fuzz::route::check(input));
