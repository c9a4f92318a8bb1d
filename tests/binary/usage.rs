//! Usage errors: status 2 and one line that names what contradicts what; nothing is read.

use crate::harness::line::Line;

#[test]
fn a_usage_error_is_one_line_that_names_both_values() {
    for (args, says) in [
        ("--high 3MiB --low 4MiB", ["--low 4MiB", "--high 3MiB"]),
        ("--high 50% --low 50%", ["--low 50%", "--high 50%"]),
        ("--low 64MiB", ["--low 64MiB", "--high 64MiB (the default)"]),
        ("--prefill 60% --high 50%", ["--prefill 60%", "--high 50%"]),
        (
            "--prefill 65MiB",
            ["--prefill 65MiB", "--high 64MiB (the default)"],
        ),
        ("-b 1MiB --high 2MiB", ["--high 2MiB", "buffer of 1MiB"]),
        ("-b 1KiB", ["--buffer 1KiB", "4KiB"]),
        ("-b 8EiB", ["--buffer 8EiB", "memory of this machine"]),
        ("-b much", ["'much'", "--buffer <SIZE>"]),
        ("--high 101%", ["'101%'", "--high <MARK>"]),
        ("--pipe-size 0", ["'0'", "--pipe-size <SIZE>"]),
        ("--pipe-size 4GiB", ["'4GiB'", "--pipe-size <SIZE>"]),
        ("--timeout soon", ["'soon'", "--timeout <DURATION>"]),
        (
            "--generate postcards",
            ["'postcards'", "man, bash, zsh, fish"],
        ),
        (
            "--generate man -q",
            ["--generate <WHAT>", "cannot be used with"],
        ),
        ("--chart -", ["--chart - means nothing", "./-"]),
        (
            "--chart a/run.PNG",
            ["--chart a/run.PNG: the picture is an SVG", "try a/run.svg"],
        ),
        ("--chart run.jpeg", ["--chart run.jpeg", "try run.svg"]),
        ("--batch 1,, -- cat", ["'1,,'", "comma"]),
        ("--bufer 1MiB", ["'--bufer'", "'--buffer'"]),
        ("--high", ["--high <MARK>", "value is required"]),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let mut line = Line::new(&args);
        line.ends_untouched();
        line.finish(0)
            .assert_complains(2, &[&says[..], &["see weir -h"]].concat());
    }
}

#[test]
fn a_percentage_of_memory_is_a_buffer() {
    let mut line = Line::new(&["-b", "1%", "--quiet"]);
    line.send(100_000);
    line.close_input();
    line.finish(100_000).assert_success("1%");
}

#[test]
fn what_follows_two_dashes_is_a_command_and_a_file_with_a_dash_is_named_with_its_folder() {
    let line = Line::new(&["--", "--buffer"]);
    line.finish(0)
        .assert_complains(127, &["run: --buffer: No such file or directory"]);
    let line = Line::new(&["./--buffer"]);
    line.finish(0)
        .assert_complains(1, &["open: ./--buffer: No such file or directory"]);
}
