//! What services tell each other: every version of every event, its bytes, and its rules.
//!
//! # Adding a version of an event
//!
//! 1. Write `avro/<subject>/v<n>.avsc`; new fields have a default.
//! 2. Add it to the event's `VERSIONS`, and the field to its wire struct, with `#[serde(default)]`.
//! 3. Run the tests: they compare every pair of versions both ways, and write the golden bytes of the new one
//!    (commit `golden/`).
//! 4. Run `kassa schemas register` before the first service that writes it.
//!
//! # Adding an event
//!
//! 1. Its `.avsc`, and a file like `payment_request.rs`: the struct, its [`event::Event`] and its wire form.
//! 2. A line in [`SUBJECTS`].

mod amount;
mod codec;
mod payment_request;
mod payment_status;
mod register;
mod registry;
mod versions;
mod wire;

pub use amount::{Amount, AmountError, Balance, SignedAmount};
pub use codec::Codec;
pub use payment_request::PaymentRequest;
pub use payment_status::{PaymentOutcome, PaymentStatus};
pub use register::register_all;
pub use registry::Registry;
pub use versions::{AvroEvent, SUBJECTS, Subject, Version, check_compatibility};
