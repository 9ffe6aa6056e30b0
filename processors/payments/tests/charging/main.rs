//! Charging: the scenarios that matter, on both stores, and thousands of random ones against a reference.

mod reference_books;
mod reference_ledger;
mod scenarios;
mod spoilt_records;
mod support;
mod top_ups;
