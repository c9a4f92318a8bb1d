//! Whatever is typed or sent: it is understood or turned away, and never the end of weir.

use std::str::FromStr;

use pipeweir::control::protocol::request;
use pipeweir::settings::PipeSize;
use pipeweir::units::{Amount, BufferSize, Limit, Mark, Percent, Rate, Size, Span, Timetable};
use proptest::prelude::*;

/// Text of the pieces that the parsers look for, so that chance gets past the first of them.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,25}",
        "[.:,/%+eE -]",
        "\\PC",
        prop::sample::select(vec![
            "MiB", "kB", "B", "Mbit", "bit", "/s", "/min", "/5s", "/h", "..", "off", "Mon-",
            "08:00,", "24:00,", "ms", "1m 30s", "year", "infinity", "NaN", "0x",
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

/// What is understood prints as something that is understood the same.
fn parse<T: FromStr + ToString + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let again = value.to_string().parse::<T>();
        assert!(again.is_ok_and(|a| a == value), "{text:?}");
    }
}

fn parse_all(text: &str) {
    parse::<Amount>(text);
    parse::<BufferSize>(text);
    parse::<Limit>(text);
    parse::<Mark>(text);
    parse::<Percent>(text);
    parse::<Rate>(text);
    parse::<Size>(text);
    parse::<Span>(text);
    parse::<Timetable>(text);
    let _ = text.parse::<PipeSize>();
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC*") {
        parse_all(&text);
    }

    #[test]
    fn no_nearly_right_text_makes_a_parser_panic(text in nearly()) {
        parse_all(&text);
    }

    #[test]
    fn no_bytes_make_the_protocol_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = request(&bytes);
    }

    #[test]
    fn no_broken_request_makes_the_protocol_panic(
        text in nearly_request(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let _ = request(text.as_bytes());
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = request(&bytes);
        let _ = request(&bytes[..at]);
    }

    #[test]
    fn deep_nesting_is_turned_away(depth in 1usize..8000) {
        prop_assert!(request("[".repeat(depth).as_bytes()).is_err());
    }
}
