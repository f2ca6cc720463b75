//! Fuzz targets for everything that reads untrusted input.
//!
//! A target takes any bytes and panics if a property of their reader does not hold. `cargo fuzz`
//! (`fuzz/`) runs a coverage-guided search; the tests here run each target with its seeds
//! (`fuzz/seeds/`) and with mutations of them, and bound its memory by the length of the input.

pub use crate::database::fuzz::{answers as postgres_answers, startup as postgres_startup};
pub use crate::graphql::fuzz::{document, limits};
pub use crate::http::fuzz::{message as websocket_message, payload};
pub use crate::rpc::fuzz::{authorization as rpc_authorization, call as rpc_call};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use rand::rngs::StdRng;
    use rand::{Rng as _, RngExt as _, SeedableRng as _};

    use super::*;

    /// The mutations for each target, unless `USER_GATEWAY_MUTATIONS` sets another number.
    const MUTATIONS: u64 = 1_000;

    /// The longest mutation, in bytes.
    const MAX_BYTES: usize = 8 * 1024;

    /// The most memory of a target: a constant, and as much for each byte of the input. Parsers need
    /// hundreds of bytes per byte; this finds allocations by a claimed length.
    const MEMORY: usize = 1024 * 1024;
    const MEMORY_OF_A_BYTE: usize = 4 * 1024;

    /// Byte sequences that are often handled wrongly.
    const WORDS: [&[u8]; 18] = [
        b"\0",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\0\0\0\x04",
        b"\"",
        b"\\",
        b"\\u0000",
        b"{",
        b"}",
        b"[[[[[[[[",
        b"]",
        b"...",
        b"null",
        b"-1",
        b"1e999",
        b"9223372036854775808",
        b"\xc3\xa9",
        b"#",
    ];

    fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(name)
    }

    fn names_in(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().path());
        names
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = folder("seeds").join(target);
        let mut paths: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    fn asked(name: &str, default: u64) -> u64 {
        let text = std::env::var_os(name);
        text.map_or(default, |text| text.to_str().unwrap().parse().unwrap())
    }

    /// Prints the input with which a target failed.
    struct Run<'a> {
        target: &'a str,
        number: Option<u64>,
        data: &'a [u8],
    }

    impl Run<'_> {
        fn start(&self, run: fn(&[u8])) {
            let taken = allocation_counter::measure(|| run(self.data)).bytes_max;
            let bound = MEMORY + MEMORY_OF_A_BYTE * self.data.len();
            let bound = u64::try_from(bound).unwrap();
            assert!(taken <= bound, "{taken} bytes of memory at a time");
        }
    }

    impl Drop for Run<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let Self {
                    target,
                    number,
                    data,
                } = self;
                eprintln!("{target}, mutation {number:?}: {}", data.escape_ascii());
            }
        }
    }

    fn exercise(target: &str, run: fn(&[u8])) {
        let seeds = seeds(target);
        assert!(!seeds.is_empty());
        for data in &seeds {
            let number = None;
            Run {
                target,
                number,
                data,
            }
            .start(run);
        }
        let first = asked("USER_GATEWAY_MUTATIONS_SEED", 0);
        for number in first..first + asked("USER_GATEWAY_MUTATIONS", MUTATIONS) {
            let data = &mutation(&mut StdRng::seed_from_u64(number), &seeds);
            let number = Some(number);
            Run {
                target,
                number,
                data,
            }
            .start(run);
        }
    }

    /// One of the seeds with a few changes.
    fn mutation(random: &mut StdRng, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut data = seeds[random.random_range(0..seeds.len())].clone();
        for _ in 0..random.random_range(1..=4) {
            let start = random.random_range(0..=data.len());
            let end = data.len().min(start + random.random_range(0..=32));
            match random.random_range(0..6) {
                0 => drop(data.drain(start..end)),
                1 => {
                    if let Some(byte) = data.get_mut(start) {
                        *byte ^= 1_u8 << random.random_range(0..8_u32);
                    }
                }
                2 => random.fill_bytes(&mut data[start..end.min(start + 4)]),
                3 => {
                    let word = WORDS[random.random_range(0..WORDS.len())];
                    data.splice(start..start, word.iter().copied());
                }
                4 => {
                    let again = data[start..end].repeat(random.random_range(1..=8));
                    data.splice(end..end, again);
                }
                _ => {
                    let other = &seeds[random.random_range(0..seeds.len())];
                    let from = random.random_range(0..=other.len());
                    data.splice(start.., other[from..].iter().copied());
                }
            }
            data.truncate(MAX_BYTES);
        }
        data
    }

    #[test]
    fn the_reader_reads_any_document_as_the_engine_does() {
        exercise("document", document);
    }

    #[test]
    fn limits_bound_the_walks_over_any_document() {
        exercise("limits", limits);
    }

    #[test]
    fn any_body_of_a_request_is_read_or_refused() {
        exercise("payload", payload);
    }

    #[test]
    fn any_message_over_a_websocket_is_read_or_refused() {
        exercise("websocket_message", websocket_message);
    }

    #[test]
    fn any_signed_body_is_a_call_or_refused() {
        exercise("rpc_call", rpc_call);
    }

    #[test]
    fn only_the_form_of_a_signature_is_taken_for_one() {
        exercise("rpc_authorization", rpc_authorization);
    }

    #[test]
    fn a_database_may_answer_anything() {
        exercise("postgres_answers", postgres_answers);
    }

    #[test]
    fn a_database_may_begin_with_anything() {
        exercise("postgres_startup", postgres_startup);
    }

    #[test]
    fn seeds_and_fuzz_targets_have_the_names_of_the_targets() {
        let source = include_str!("fuzz.rs");
        let called = source.lines().filter_map(|line| {
            let call = line.trim().strip_prefix("exercise(\"")?;
            Some(call.split_once('"')?.0.to_owned())
        });
        let called: BTreeSet<String> = called.collect();
        assert_eq!(names_in(&folder("seeds")), called);
        assert_eq!(names_in(&folder("fuzz_targets")), called);
        let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
        for name in called {
            let line = format!("name = \"{name}\"\n");
            assert!(manifest.contains(&line), "{name} is not in fuzz/Cargo.toml");
        }
    }
}
