//! The scripts that try the gateway out as other programs do.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Runs a script of `tests/node` with Node.js and returns what it printed. It must succeed. What
/// `package-lock.json` names is fetched first unless it is there.
pub(crate) fn run_script(script: &str, arguments: &[&str]) -> String {
    /// Two installations into one folder would be in each other's way.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    {
        let _alone = INSTALLING.lock();
        if !is_installed(&folder) {
            run(Command::new("npm").arg("ci").current_dir(&folder));
        }
    }
    // Of a known version where npm has one for this machine: a distribution's may be too old. By
    // its own path, for older versions of npm lose the link in `.bin`.
    let node = ["x64", "arm64"]
        .map(|machine| folder.join(format!("node_modules/node-linux-{machine}/bin/node")))
        .into_iter()
        .find(|node| node.exists())
        .unwrap_or_else(|| "node".into());
    run(Command::new(node)
        .arg(script)
        .args(arguments)
        .current_dir(&folder))
}

/// Whether npm has finished an installation since `package-lock.json` was last changed.
fn is_installed(folder: &Path) -> bool {
    let changed = |file| fs::metadata(folder.join(file)).and_then(|file| file.modified());
    match changed("node_modules/.package-lock.json") {
        Ok(installed) => changed("package-lock.json").unwrap() <= installed,
        Err(_) => false,
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}
