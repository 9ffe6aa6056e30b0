//! The services' migrations are compiled into the limit program; a changed file has to compile the crate again.
fn main() {
    for service in ["streams", "orders", "payments"] {
        println!("cargo:rerun-if-changed=../../processors/{service}/migrations");
    }
}
