//! Whatever a registry says an id means, and any record under it: refused, or read within bounds. The input is the schema's
//! text, a byte that is 0, and the record.

#![no_main]

use std::sync::LazyLock;

use event::Deserializer as _;
use libfuzzer_sys::fuzz_target;
use schemas::{Codec, PaymentRequest, PaymentStatus};

const ID: u32 = 99;

static REQUESTS: LazyLock<Codec<PaymentRequest>> = LazyLock::new(|| Codec::offline(1));
static STATUSES: LazyLock<Codec<PaymentStatus>> = LazyLock::new(|| Codec::offline(1));

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else {
        return;
    };
    let record = bytes.get(end + 1..).unwrap_or_default();
    let framed = [&[0][..], &ID.to_be_bytes(), record].concat();
    // Learned anew each time; what was learned before is kept, so there is one of each.
    if REQUESTS.learn_schema_text(ID, text).is_ok() {
        let _ = REQUESTS.deserialize(&framed);
    }
    if STATUSES.learn_schema_text(ID, text).is_ok() {
        let _ = STATUSES.deserialize(&framed);
    }
});
