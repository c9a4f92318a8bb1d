//! The paths of all fields of the status object: `buffer.used`, `outputs.0.path`.
//!
//! They are what reading such an object asks for, so that there is no list of them to be kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, Visitor,
    value::StrDeserializer,
};
use serde_json::Value;

use super::snapshot::Snapshot;

/// Whether there is such a field, whatever its value may be.
#[must_use]
pub(super) fn is_field(path: &str) -> bool {
    // All elements of a list are alike.
    let is_number = |part: &str| part.bytes().all(|c| c.is_ascii_digit()) && !part.is_empty();
    let parts = path
        .split('.')
        .map(|it| if is_number(it) { FIRST } else { it });
    let path = parts.collect::<Vec<_>>().join(".");
    let paths = paths();
    paths.known.contains(&path)
        || (paths.dark.iter()).any(|it| path.strip_prefix(it).is_some_and(|it| it.starts_with('.')))
}

/// What it is in this object.
#[must_use]
pub(super) fn value<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |it, part| match it {
        Value::Array(all) => all.get(part.parse::<usize>().ok()?),
        _ => it.get(part),
    })
}

/// The place of an element of which there may be many.
const FIRST: &str = "0";

#[derive(Debug, Default)]
struct Paths {
    known: Vec<String>,
    /// Those that do not tell what is in them before they are there.
    dark: Vec<String>,
}

fn paths() -> Paths {
    let mut paths = Paths::default();
    loop {
        let (dark, asked) = (paths.dark.len(), &mut paths);
        asked.known.clear();
        let asked = Asked {
            path: String::new(),
            paths: asked,
        };
        // Each time that it fails one more is left out.
        if Snapshot::deserialize(asked).is_ok() || paths.dark.len() == dark {
            return paths;
        }
    }
}

/// A value that notes what it is asked for, and is the least that is of that kind.
struct Asked<'a> {
    path: String,
    paths: &'a mut Paths,
}

impl Asked<'_> {
    fn part(&mut self, name: &str) -> Asked<'_> {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        self.paths.known.push(path.clone());
        Asked {
            path,
            paths: self.paths,
        }
    }
}

/// It does not say what kind it is of.
#[derive(Debug)]
struct Dark;

impl fmt::Display for Dark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is of any kind")
    }
}

impl std::error::Error for Dark {}

impl Error for Dark {
    fn custom<T: fmt::Display>(_: T) -> Dark {
        Dark
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn serde::de::Expected) -> Dark {
        Dark
    }
}

/// What each kind is asked for by, and what it is then.
macro_rules! least {
    ($($asked:ident: $visit:ident($value:expr)),*) => {
        $(fn $asked<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Dark> {
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Dark;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Dark> {
        self.paths.dark.push(self.path);
        Err(Dark)
    }

    least! {
        deserialize_bool: visit_bool(false),
        deserialize_u8: visit_u64(0), deserialize_u16: visit_u64(0),
        deserialize_u32: visit_u64(0), deserialize_u64: visit_u64(0),
        deserialize_i32: visit_u64(0), deserialize_i64: visit_u64(0),
        deserialize_f32: visit_f64(0.0), deserialize_f64: visit_f64(0.0),
        deserialize_str: visit_str(""), deserialize_string: visit_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Dark> {
        if self.paths.dark.contains(&self.path) {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Dark> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Dark> {
        visitor.visit_seq(Parts {
            of: self,
            names: &[FIRST],
            next: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Dark> {
        visitor.visit_map(Parts {
            of: self,
            names: fields,
            next: None,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Dark> {
        visitor.visit_enum(First(variants.first().copied().unwrap_or_default()))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

/// The parts of one that has some.
struct Parts<'a> {
    of: Asked<'a>,
    names: &'static [&'static str],
    next: Option<&'static str>,
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Dark;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Dark> {
        let Some((name, rest)) = self.names.split_first() else {
            return Ok(None);
        };
        (self.names, self.next) = (rest, Some(*name));
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Dark> {
        let name = self.next.take().unwrap_or_default();
        seed.deserialize(self.of.part(name))
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Dark;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Dark> {
        let Some((name, rest)) = self.names.split_first() else {
            return Ok(None);
        };
        self.names = rest;
        seed.deserialize(self.of.part(name)).map(Some)
    }
}

/// The first of several words.
struct First(&'static str);

impl<'de> EnumAccess<'de> for First {
    type Error = Dark;
    type Variant = OfWord;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, OfWord), Dark> {
        let word = seed.deserialize(StrDeserializer::new(self.0))?;
        Ok((word, OfWord))
    }
}

/// Nothing but the word.
struct OfWord;

impl<'de> serde::de::VariantAccess<'de> for OfWord {
    type Error = Dark;

    fn unit_variant(self) -> Result<(), Dark> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Dark> {
        Err(Dark)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Dark> {
        Err(Dark)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Dark> {
        Err(Dark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All paths of this object.
    fn all(value: &Value, path: &str, found: &mut Vec<String>) {
        let parts: Vec<(String, &Value)> = match value {
            Value::Object(parts) => parts.iter().map(|(name, it)| (name.clone(), it)).collect(),
            Value::Array(parts) => (0..).map(|n: usize| n.to_string()).zip(parts).collect(),
            _ => Vec::new(),
        };
        for (name, part) in parts {
            let path = if path.is_empty() {
                name
            } else {
                format!("{path}.{name}")
            };
            all(part, &path, found);
            found.push(path);
        }
    }

    #[test]
    fn whatever_a_status_object_holds_has_a_path() {
        let object = include_str!("../garbage/snapshot.json");
        let object: Value = serde_json::from_str(object).expect("an object");
        let mut found = Vec::new();
        all(&object, "", &mut found);
        assert!(found.len() > 50, "{found:?}");
        for path in found {
            assert!(is_field(&path), "{path}");
            assert!(value(&object, &path).is_some(), "{path}");
        }
        for path in [
            "end",
            "user",
            "command.retry_in_s",
            "outputs.12.used",
            "advice.size",
            "share.members",
        ] {
            assert!(is_field(path), "{path}");
        }
    }

    #[test]
    fn what_it_does_not_hold_has_none() {
        for path in [
            "",
            ".",
            "rate",
            "buffer.",
            "buffer.used.x",
            "progress",
            "outputs.used",
            "0",
            "advices",
        ] {
            assert!(!is_field(path), "{path}");
        }
    }
}
