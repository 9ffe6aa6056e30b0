//! `cargo kassa postman`: makes the Postman collection anew.

use std::fs;

use crate::postman::{self, FILE};
use crate::stack::root;

/// Writes `postman_collection.json` from the gateway's document, as its tests hold it.
///
/// # Errors
/// The document cannot be read, or the file not be written.
pub fn postman() -> anyhow::Result<()> {
    let text = postman::text(&postman::document()?)?;
    fs::write(root().join(FILE), text)?;
    println!("{FILE} is written");
    Ok(())
}
