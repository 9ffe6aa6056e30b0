//! `--where reason=…,topic=…,key=…`: which dead letters.

use std::str::FromStr;

use anyhow::bail;

use super::failure::Reason;

/// What a dead letter must be to be chosen; what is not named is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Parked for this reason: the code of a [`Reason`], or `unknown` for letters of a version before there were codes.
    Reason(String),
    /// From this topic.
    Topic(String),
    /// Of this key, as `list` shows it: its text, `0x…` for other bytes, `none` for a record without.
    Key(String),
}

/// Of a letter that was parked by a program that knew no codes.
const UNKNOWN: &str = "unknown";

impl Filter {
    /// What meets every one of these.
    ///
    /// # Errors
    /// A field is asked for two values.
    pub fn all_of(filters: Vec<Self>) -> anyhow::Result<Self> {
        let conditions: Vec<Condition> = filters.into_iter().flat_map(|filter| filter.conditions).collect();
        for (index, condition) in conditions.iter().enumerate() {
            let field = std::mem::discriminant(condition);
            if conditions[..index]
                .iter()
                .any(|other| std::mem::discriminant(other) == field)
            {
                bail!("--where names a field twice, and no dead letter can be both: run the command once for each");
            }
        }
        Ok(Self { conditions })
    }

    /// The code, if there is a condition on it.
    pub(super) fn reason(&self) -> Option<&str> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Reason(code) => Some(code.as_str()),
            _ => None,
        })
    }

    /// The topic, if there is a condition on it.
    pub(super) fn topic(&self) -> Option<&str> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Topic(topic) => Some(topic.as_str()),
            _ => None,
        })
    }

    /// The keys that are written like that, if there is a condition on it; and whether no key is, too.
    pub(super) fn keys(&self) -> Option<(Vec<Vec<u8>>, bool)> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Key(text) => {
                let hex = text.strip_prefix("0x").and_then(from_hex);
                let keys = [Some(text.as_bytes().to_vec()), hex].into_iter().flatten().collect();
                Some((keys, text == "none"))
            }
            _ => None,
        })
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(',') {
            match (part.split_once('='), pairs.last_mut()) {
                (Some((field, value)), _) => pairs.push((field.trim().to_owned(), value.to_owned())),
                // A key may have a comma in it.
                (None, Some((field, value))) if field == "key" => {
                    value.push(',');
                    value.push_str(part);
                }
                (None, _) => {
                    return Err(format!(
                        "`{part}` is no condition; write reason=…, topic=… or key=…, with commas between"
                    ));
                }
            }
        }
        let conditions = pairs.into_iter().map(|(field, value)| condition(&field, value));
        Ok(Self {
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }
}

fn condition(field: &str, value: String) -> Result<Condition, String> {
    if value.is_empty() {
        return Err(format!("`{field}=` has no value; leave it out to take every {field}"));
    }
    match field {
        "reason" if value == UNKNOWN || Reason::ALL.iter().any(|reason| reason.code() == value) => {
            Ok(Condition::Reason(value))
        }
        "reason" => {
            let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
            Err(format!(
                "there is no reason `{value}`; there are {}, {UNKNOWN}",
                known.join(", ")
            ))
        }
        "topic" => Ok(Condition::Topic(value)),
        "key" => Ok(Condition::Key(value)),
        _ => Err(format!(
            "there is no field `{field}`; there are reason, topic and key (a key with a comma and an equals sign in it \
             is written as 0x and its bytes)"
        )),
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        text.parse().expect("a filter")
    }

    fn refusal(text: &str) -> String {
        text.parse::<Filter>().expect_err("no filter")
    }

    #[test]
    fn conditions_may_stand_as_one_likes() {
        let both = filter("topic=numbers,reason=wrong_key");
        assert_eq!((both.topic(), both.reason()), (Some("numbers"), Some("wrong_key")));
        assert_eq!(both.keys(), None);
    }

    #[test]
    fn a_key_is_written_as_the_list_shows_it() {
        let keys = |text: &str| filter(text).keys().expect("a condition on the key");
        assert_eq!(keys("key=a,b"), (vec![b"a,b".to_vec()], false));
        assert_eq!(keys("key=0xff00"), (vec![b"0xff00".to_vec(), vec![0xff, 0]], false));
        assert_eq!(keys("key=none"), (vec![b"none".to_vec()], true));
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_said_with_what_would_be_right() {
        assert!(refusal("colour=red").contains("there are reason, topic and key"));
        assert!(refusal("reason=bad").contains("there are no_value, too_large"));
        assert!(refusal("wrong_key").contains("write reason=…"));
        assert!(refusal("key=").contains("leave it out"));
        let twice = Filter::all_of(vec![filter("topic=a"), filter("topic=b")]);
        assert!(twice.expect_err("two topics").to_string().contains("twice"));
    }
}
