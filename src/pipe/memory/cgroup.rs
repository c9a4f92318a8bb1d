//! What the control groups of this process leave it of the machine's memory: its own, and all that
//! are above. Files are read by who calls, so that everything here is a function of texts.

/// What one kind of control group calls its files.
struct Names {
    limit: &'static str,
    used: &'static str,
    /// The line in `memory.stat` of what is cached, and given up as soon as memory is wanted.
    cached: &'static str,
}

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: "total_inactive_file ",
};
const V2: Names = Names {
    limit: "memory.max",
    used: "memory.current",
    cached: "inactive_file ",
};

/// A group that limits memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// What it may use at most.
    pub limit: u64,
    /// What it could still use.
    pub left: u64,
}

/// All groups with a limit that `/proc/self/cgroup`, which says `own`, puts this process in. A group
/// whose folder is not to be seen from here (in a container it may not be) is left out; those
/// above it are looked at all the same, since the outermost folder is then the container's own.
pub(super) fn groups(own: &str, read: impl Fn(&str) -> Option<String>) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in own.lines() {
        // Such as `4:memory:/docker/1f3e`, and of the second version `0::/user.slice`.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, names) = match controllers {
            "" => ("/sys/fs/cgroup", &V2),
            some if some.split(',').any(|c| c == "memory") => ("/sys/fs/cgroup/memory", &V1),
            _ => continue,
        };
        let mut folder = root.to_owned();
        groups.extend(group(&folder, names, &read));
        // A path that leads out of what is mounted here begins with `..`.
        for part in path
            .split('/')
            .filter(|part| !part.is_empty() && *part != "..")
        {
            folder = format!("{folder}/{part}");
            groups.extend(group(&folder, names, &read));
        }
    }
    groups
}

/// The group of this folder, if it has a limit: `max` is none.
fn group(folder: &str, names: &Names, read: &impl Fn(&str) -> Option<String>) -> Option<Group> {
    let number = |file| {
        read(&format!("{folder}/{file}"))?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let limit = number(names.limit)?;
    let used = number(names.used).unwrap_or(0);
    let stat = read(&format!("{folder}/memory.stat")).unwrap_or_default();
    let cached = stat.lines().find_map(|l| l.strip_prefix(names.cached));
    let cached = cached.and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    let left = limit.saturating_sub(used.saturating_sub(cached));
    Some(Group { limit, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_all_groups_above_count() {
        let v2 = "0::/app.slice/weir.scope\n";
        let v1 = "9:name=systemd:/x\n4:cpu,memory:/docker/1f\n3:cpuset:/y\n0::/\n";
        let group = |limit, left| Group { limit, left };
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(&str, &str, Files<'_>, &[Group])] = &[
            (
                "no groups at all",
                "",
                &[("/sys/fs/cgroup/memory.max", "5")],
                &[],
            ),
            ("nonsense", "memory\n1:memory\n::\n", &[], &[]),
            ("nothing to be seen", v2, &[], &[]),
            (
                "without a limit",
                v2,
                &[("/sys/fs/cgroup/app.slice/weir.scope/memory.max", "max\n")],
                &[],
            ),
            (
                "its own, and one above that is tighter",
                v2,
                &[
                    ("/sys/fs/cgroup/app.slice/memory.max", "1000\n"),
                    ("/sys/fs/cgroup/app.slice/memory.current", "900\n"),
                    (
                        "/sys/fs/cgroup/app.slice/memory.stat",
                        "anon 500\nactive_file 7\ninactive_file 300\n",
                    ),
                    ("/sys/fs/cgroup/app.slice/weir.scope/memory.max", "2000\n"),
                ],
                &[group(1000, 400), group(2000, 2000)],
            ),
            (
                "a container that sees its own folder as the outermost",
                v1,
                &[
                    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "500\n"),
                    ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "600\n"),
                    ("/sys/fs/cgroup/memory.max", "none of ours"),
                ],
                &[group(500, 0)],
            ),
            (
                "of the first version",
                v1,
                &[
                    (
                        "/sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes",
                        "500\n",
                    ),
                    (
                        "/sys/fs/cgroup/memory/docker/1f/memory.usage_in_bytes",
                        "100\n",
                    ),
                    (
                        "/sys/fs/cgroup/memory/docker/1f/memory.stat",
                        "inactive_file 3\ntotal_inactive_file 20\n",
                    ),
                ],
                &[group(500, 420)],
            ),
            (
                "out of what is mounted",
                "0::/../../other",
                &[
                    ("/sys/fs/cgroup/memory.max", "700"),
                    ("/sys/fs/cgroup/../../other/memory.max", "1"),
                ],
                &[group(700, 700)],
            ),
        ];
        for (name, own, files, wanted) in cases {
            let read = |path: &str| {
                let found = files.iter().find(|(file, _)| *file == path);
                found.map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(groups(own, read), *wanted, "{name}");
        }
    }
}
