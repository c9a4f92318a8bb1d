//! The man page: title and options from the definitions of the flags, everything else from
//! `manual.roff` beside this file, which is written by hand.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;

/// When the page was last changed in more than its options.
const DATE: &str = "2026-11-28";
/// The command lines that there are.
const SYNOPSIS: &str = include_str!("synopsis.roff");
/// The sections after the options.
const SECTIONS: &str = include_str!("manual.roff");

/// Writes the page, in roff.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(command: Command, out: &mut dyn Write) -> io::Result<()> {
    let source = format!("weir {}", command.get_version().unwrap_or_default());
    // It would leave out the text of those that have a short one only.
    let page = Man::new(command.mut_args(|arg| arg.hide_short_help(false)))
        .date(DATE)
        .source(source)
        .manual("User Commands");
    let part = |render: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        let mut text = Vec::new();
        render(&mut text)?;
        io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let title = part(&|to| page.render_title(to))?;
    let about = part(&|to| page.render_name_section(to))?;
    let description = part(&|to| page.render_description_section(to))?;
    let options = part(&|to| page.render_options_section(to))?;
    for text in [
        &title,
        without_preamble(&about),
        SYNOPSIS,
        without_preamble(&description),
        &one_section(without_preamble(&options)),
        SECTIONS,
    ] {
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The definitions that every part comes with are wanted once.
fn without_preamble(part: &str) -> &str {
    part.find(".SH").map_or(part, |start| &part[start..])
}

/// Makes subsections of all sections but the first: groups of options are no more than that.
fn one_section(options: &str) -> String {
    let mut text = String::new();
    let mut first = true;
    for line in options.lines() {
        match line.strip_prefix(".SH ") {
            Some(title) if !first => {
                let (start, rest) = title.split_at(title.len().min(1));
                text += &format!(".SS {start}{}", rest.to_lowercase());
            }
            Some(_) => {
                first = false;
                text += line;
            }
            // clap_mangen breaks the line twice before a list of values.
            None if line.is_empty() || (line == ".br" && text.ends_with(".br\n")) => continue,
            None => text += line,
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_text() {
        let mut page = Vec::new();
        write(
            <crate::config::options::Options as clap::CommandFactory>::command(),
            &mut page,
        )
        .expect("it is written to memory");
        let page = String::from_utf8(page).expect("text");
        let options = page.split(".TP\n").skip(1);
        let bare: Vec<&str> = options
            .filter(|it| it.trim_end().lines().count() < 2)
            .collect();
        assert!(bare.is_empty(), "{bare:?}");
    }

    #[test]
    fn groups_of_options_are_subsections() {
        let text = one_section(".SH OPTIONS\n.TP\na\n.br\n\n.br\n.SH BUFFER\n.TP\nb\n");
        assert_eq!(text, ".SH OPTIONS\n.TP\na\n.br\n.SS Buffer\n.TP\nb\n");
    }
}
