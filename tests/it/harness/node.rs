//! The scripts that try the gateway out as other programs do.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Runs a script of a folder of this repository with Node.js, after fetching what it needs if that
/// is not there yet; what it says. It must succeed.
pub(crate) fn run_script(folder: &str, script: &str, arguments: &[&str]) -> String {
    /// Two installations into one folder would be in each other's way.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    {
        let _alone = INSTALLING.lock();
        if !folder.join("node_modules").exists() {
            run(Command::new("npm")
                .args(["ci", "--ignore-scripts"])
                .current_dir(&folder));
        }
    }
    run(Command::new("node")
        .arg(script)
        .args(arguments)
        .current_dir(&folder))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}
