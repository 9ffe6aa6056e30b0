//! Spoils records, seed by seed: what networks, other programs and other versions make of them.

use fastrand::Rng;

/// A record's key and value.
pub type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Spoils a valid record in one to three ways. What comes out may by chance be valid still.
///
/// `schema_ids` are those that a value may name instead of its own.
pub fn spoil(random: &mut Rng, key: &[u8], value: &[u8], schema_ids: &[u32]) -> KeyAndValue {
    let mut spoilt = (Some(key.to_vec()), Some(value.to_vec()));
    for _ in 0..random.usize(1..=3) {
        match random.usize(..10) {
            0 => spoilt.0 = other_key(random, key),
            1 => spoilt.1 = None,
            2 => spoilt.1 = Some(bytes(random, 300)),
            _ => {
                if let Some(value) = &mut spoilt.1 {
                    spoil_value(random, value, schema_ids);
                }
            }
        }
    }
    spoilt
}

fn spoil_value(random: &mut Rng, value: &mut Vec<u8>, schema_ids: &[u32]) {
    let at = random.usize(..=value.len());
    match random.usize(..8) {
        // A few bits flip.
        0 | 1 => {
            for _ in 0..random.usize(1..=4) {
                if let Some(byte) = random.choice(value.iter_mut()) {
                    *byte ^= 1 << random.u8(..8);
                }
            }
        }
        2 => value.truncate(at),
        3 => value.extend(bytes(random, 50)),
        // Another magic byte, or another schema.
        4 => value[..at.min(1)].fill(random.u8(..)),
        5 if value.len() >= 5 => {
            let id = random.choice(schema_ids).copied().unwrap_or_else(|| random.u32(..));
            value[1..5].copy_from_slice(&id.to_be_bytes());
        }
        // A length beyond all bounds, or below zero.
        6 => {
            let length = [&[0xff; 8][..], &[random.u8(..0x80)]].concat();
            value.splice(at..at, length);
        }
        // What no database stores as text, and no decoder as such.
        _ => {
            let end = value.len().min(at + random.usize(1..40));
            value[at..end].fill(*random.choice(&[0, 0xff, b'"']).expect("three"));
        }
    }
}

fn other_key(random: &mut Rng, key: &[u8]) -> Option<Vec<u8>> {
    match random.usize(..5) {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some([key, b"x"].concat()),
        // More than an index takes.
        3 => Some(bytes(random, 20_000)),
        _ => Some(bytes(random, 40)),
    }
}

fn bytes(random: &mut Rng, max: usize) -> Vec<u8> {
    let count = random.usize(..max);
    std::iter::repeat_with(|| random.u8(..)).take(count).collect()
}
