//! The migrations are compiled in; a changed file has to compile the crate again.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
