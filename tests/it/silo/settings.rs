//! How a silo is set up wrongly, as the binary says it.

use crate::harness::Scratch;

/// What the binary says to these arguments of `serve`, which it must refuse.
fn refusal(arguments: &[&str]) -> String {
    let scratch = Scratch::new();
    let said = scratch.must_fail(&[&["serve"], arguments].concat());
    assert_eq!(scratch.files(), [""; 0], "{arguments:?} made something");
    said
}

#[test]
fn a_region_says_everything_that_it_lacks_at_once() {
    let said = refusal(&["--silo", "region"]);
    for name in ["region", "control-url", "rpc-secret"] {
        let problem = format!("a region needs the setting {name}");
        assert!(said.contains(&problem), "{name}: {said}");
    }
}

#[test]
fn a_region_says_the_one_thing_that_it_lacks() {
    let whole = [
        ("--region", "us"),
        ("--control-url", "http://127.0.0.1:1"),
        ("--rpc-secret", "secret"),
    ];
    for (lacking, _) in whole {
        let rest = whole.iter().filter(|(name, _)| *name != lacking);
        let rest = rest.flat_map(|(name, value)| [*name, *value]);
        let said = refusal(
            &["--silo", "region"]
                .into_iter()
                .chain(rest)
                .collect::<Vec<_>>(),
        );
        let lacking = lacking.trim_start_matches('-');
        assert!(
            said.contains(&format!("needs the setting {lacking}")),
            "{said}"
        );
        assert_eq!(said.matches("needs the setting").count(), 1, "{said}");
    }
}

#[test]
fn what_makes_no_sense_for_a_silo_is_refused_with_the_reason() {
    let region = [
        "--silo",
        "region",
        "--region",
        "us",
        "--rpc-secret",
        "secret",
    ];
    let control = ["--silo", "control", "--rpc-secret", "secret"];
    let cases: [(&[&str], &[&str], &str); 7] = [
        (
            &region,
            &["--control-url", "control:8000"],
            "http://HOST:PORT",
        ),
        (
            &region,
            &["--control-url", "http://control/prefix"],
            "without a path",
        ),
        (
            &region,
            &[
                "--control-url",
                "http://control",
                "--regions",
                "de=http://de",
            ],
            "by the control silo, not by a region",
        ),
        (&control, &["--regions", "us"], "must be NAME=URL"),
        (&control, &["--regions", "us=ftp://us"], "http://HOST:PORT"),
        (
            &control,
            &["--regions", "us=http://a,us=http://b"],
            "named twice",
        ),
        (&control, &["--region", "us"], "settings of `--silo region`"),
    ];
    for (base, more, reason) in cases {
        let said = refusal(&[base, more].concat());
        assert!(said.contains(reason), "{more:?}: {said}");
    }
    let said = refusal(&["--silo", "control", "--regions", "us=http://us"]);
    assert!(said.contains("needs the setting rpc-secret"), "{said}");
}

#[test]
fn a_refusal_does_not_repeat_a_secret() {
    let secret = "4f1c-kept-to-itself";
    let said = refusal(&["--silo", "region", "--rpc-secret", secret]);
    assert!(!said.contains(secret), "{said}");
}
