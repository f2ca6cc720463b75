//! What Linux says of a process: the time of processors that it took, and its memory.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Ticks of the accounting in a second, which are the same on every Linux that programs see.
const TICKS_PER_SECOND: u64 = 100;

/// The processor time of a process, in user and in system mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processor(Duration);

impl Processor {
    /// What a process has taken so far.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .context("the process has ended; what it said is above")?;
        let stat = Stat::parse(&stat).context("the process has no accounts")?;
        Ok(Self(stat.time))
    }

    /// What all children of a process have taken so far that live still.
    pub(crate) fn of_children(parent: u32) -> anyhow::Result<Self> {
        let mut time = Duration::ZERO;
        for entry in fs::read_dir("/proc")?.flatten() {
            let stat = fs::read_to_string(entry.path().join("stat"));
            if let Some(stat) = stat.ok().and_then(|stat| Stat::parse(&stat))
                && stat.parent == parent
            {
                time += stat.time;
            }
        }
        Ok(Self(time))
    }

    /// What was taken since an earlier look.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A server's accounts and those of its database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accounts {
    server: Processor,
    database: Option<Processor>,
}

impl Accounts {
    /// The accounts as they are.
    pub(crate) fn read(server: u32, database: Option<u32>) -> anyhow::Result<Self> {
        Ok(Self {
            server: Processor::of(server)?,
            database: database.map(Processor::of_children).transpose()?,
        })
    }

    /// What server and database have taken since an earlier look.
    pub(crate) fn since(self, earlier: Self) -> (Duration, Option<Duration>) {
        let database = self.database.zip(earlier.database);
        (
            self.server.since(earlier.server),
            database.map(|(now, then)| now.since(then)),
        )
    }
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    time: Duration,
}

impl Stat {
    /// Reads a line; the name in it may hold anything, brackets too.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.rsplit_once(')')?.1.split_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let user: u64 = fields.nth(9)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self {
            parent,
            time: Duration::from_millis((user + system) * 1_000 / TICKS_PER_SECOND),
        })
    }
}

/// The resident memory of a process and the most it ever had, in KiB.
pub(crate) fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    field("VmRSS:")
        .zip(field("VmHWM:"))
        .context("the process has no memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_whatever_the_name_of_the_process() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 12345 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.time), (3, Duration::from_secs(3)));
    }

    #[test]
    fn this_process_has_accounts_and_memory() {
        let pid = std::process::id();
        assert!(Processor::of(pid).is_ok());
        let (now, most) = memory(pid).unwrap();
        assert!(now > 0 && most >= now);
    }
}
