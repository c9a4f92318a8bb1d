//! Whatever is typed or sent: it is understood or turned away, and never the end of weir.

use crate::control::protocol::request;
use proptest::prelude::*;

/// Text of the pieces that the parsers look for, so that chance gets past the first of them.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,25}",
        "[.:,/%+eE -]",
        "\\PC",
        prop::sample::select(vec![
            "MiB", "kB", "B", "Mbit", "bit", "/s", "/min", "/5s", "/h", "..", "off", "Mon-",
            "08:00,", "24:00,", "ms", "1m 30s", "year", "infinity", "NaN", "0x", "always",
            "redis://", "unix:", "[", "(", "\\", "full", "failure", "#", "@", "=", "~",
        ])
        .prop_map(ToOwned::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A request, or nearly.
fn nearly_request() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "rate", "burst", "high", "low", "prefill", "shed", "max_age", "interval", "flow",
    ]);
    (key, nearly(), any::<u8>()).prop_map(|(key, value, how)| {
        let value = serde_json::to_string(&value).unwrap_or_default();
        let value = if how & 1 == 0 {
            format!("[{value}]")
        } else {
            value
        };
        format!(r#"{{"v":1,"ask":{{"change":{{"{key}":{value}}}}}}}"#)
    })
}

/// A template, or nearly.
fn nearly_template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{name}",
            "{in.rate}",
            "{used%}",
            "{eta}",
            "{culprit}",
            "{nothing}",
            "{",
            "}",
            "{{",
            "}}",
        ])
        .prop_map(ToOwned::to_owned),
        "\\PC{0,5}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// What the store's script returns, in the store's protocol, or nearly.
#[cfg(feature = "redis")]
fn nearly_answer() -> impl Strategy<Value = String> {
    let number = || prop_oneof![0u64..3, 0u64..1 << 41, any::<u64>()];
    let text = || {
        let figure = number().prop_map(|n| n.to_string());
        prop_oneof![4 => figure, 1 => "[0-9a-z]{0,22}n?"]
    };
    let numbers = (number(), number(), number(), number());
    (numbers, text(), text(), text()).prop_map(|(numbers, amount, per, burst)| {
        let (parts, interval, members, changes) = numbers;
        let mut answer = format!("*7\r\n:{parts}\r\n:{interval}\r\n:{members}\r\n");
        for text in [amount, per, burst] {
            answer += &format!("${}\r\n{text}\r\n", text.len());
        }
        answer + &format!(":{changes}\r\n")
    })
}

/// A command line, or nearly, one word to a line.
fn nearly_words() -> impl Strategy<Value = String> {
    let option = prop::sample::select(vec![
        "-b",
        "--high",
        "--low",
        "--prefill",
        "--pipe-size",
        "--no-splice",
        "-l",
        "-0",
        "--record-size",
        "-r",
        "--input-rate",
        "--burst",
        "--shed",
        "--patience",
        "--max-age",
        "--timeout",
        "-i",
        "-N",
        "-s",
        "-q",
        "--display",
        "--spill",
        "--spool",
        "--sync",
        "--tap",
        "--tee",
        "--tap-buffer",
        "--append",
        "--batch",
        "-j",
        "--restart",
        "--backoff",
        "--give-up",
        "--reject",
        "--key",
        "--keep",
        "--share",
        "--format",
        "--on",
        "--stop-at",
        "--grace",
        "--",
    ]);
    let value = prop_oneof![
        4 => nearly(),
        4 => prop::sample::select(vec![
            "1", "0", "50%", "4KiB", "1MiB", "10MB/s", "10/s", "2MB/s..20MB/s", "oldest", "off",
            "08:00,1MB/s 18:00,off", "1s", "18446744073709551615", "json", "fair", "500,5s", "1..4",
            "on-failure", "redis://host/name", "full=true",
        ]).prop_map(ToOwned::to_owned),
    ];
    prop::collection::vec((option, prop::option::weighted(0.7, value)), 0..6).prop_map(|words| {
        let words = words
            .into_iter()
            .flat_map(|(option, value)| [Some(option.to_owned()), value]);
        words.flatten().collect::<Vec<_>>().join("\n")
    })
}

proptest! {
    #[test]
    fn any_text_is_a_value_or_turned_away(text in "\\PC*") {
        super::values(&text);
    }

    #[test]
    fn so_is_text_that_is_nearly_right(text in nearly()) {
        super::values(&text);
    }

    #[test]
    fn any_words_make_a_weir_or_are_turned_away(text in nearly_words()) {
        super::command_line(&text);
    }

    #[test]
    fn any_bytes_are_a_message_or_turned_away(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        super::message(&bytes);
    }

    #[test]
    fn so_is_a_broken_request(
        text in nearly_request(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        super::message(text.as_bytes());
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        super::message(&bytes);
        super::message(&bytes[..at]);
    }

    #[test]
    fn deep_nesting_is_turned_away(depth in 1usize..8000) {
        prop_assert!(request("[".repeat(depth).as_bytes()).is_err());
    }

    #[test]
    fn any_template_is_a_line_or_turned_away(text in nearly_template()) {
        super::template(&text);
    }

    #[test]
    fn a_file_of_a_spool_may_hold_anything(bytes in prop::collection::vec(
        prop_oneof![3 => Just(0), 1 => any::<u8>(), 1 => 0u8..5], 0..400,
    )) {
        super::spool_file(&bytes);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_store_may_say_anything(answer in nearly_answer(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = answer.into_bytes();
        super::store_answer(&bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        super::store_answer(&bytes);
        super::store_answer(&bytes[..at]);
    }

    #[test]
    fn records_are_counted_the_same_in_any_pieces(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), Just(b'\n'), 0u8..9], 0..600,
    )) {
        super::records(&bytes);
    }
}
