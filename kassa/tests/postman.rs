//! The Postman collection in the repository is the one that the document makes.

use std::collections::BTreeSet;
use std::fs;

use kassa::postman::{FILE, collection, document, text};
use kassa::stack::root;
use serde_json::Value;

#[test]
fn the_collection_is_up_to_date() {
    let fresh = text(&document().expect("the document")).expect("a collection");
    let committed = fs::read_to_string(root().join(FILE)).unwrap_or_default();
    assert!(committed == fresh, "{FILE} is stale: run `cargo kassa postman`");
}

#[test]
fn every_operation_is_in_a_folder_of_its_tag() {
    let document = document().expect("the document");
    let collection = collection(&document).expect("a collection");
    let folders = collection["item"].as_array().expect("folders");
    let names: Vec<&Value> = folders.iter().map(|folder| &folder["name"]).collect();
    assert_eq!(names, ["Follow an order", "Accounts", "Orders"]);
    let items = folders[1..]
        .iter()
        .flat_map(|folder| folder["item"].as_array().expect("requests"));
    let in_folders: BTreeSet<&str> = items.filter_map(|item| item["name"].as_str()).collect();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths
        .values()
        .flat_map(|item| item.as_object().expect("operations").values());
    let described: BTreeSet<&str> = operations
        .filter_map(|operation| operation["summary"].as_str())
        .collect();
    assert_eq!(in_folders, described);
}

#[test]
fn every_variable_that_is_used_is_there() {
    let collection = collection(&document().expect("the document")).expect("a collection");
    let text = collection["item"].to_string();
    let used: BTreeSet<&str> = text
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split("}}").next())
        .filter(|name| !name.starts_with('$'))
        .collect();
    let variables = collection["variable"].as_array().expect("variables");
    let known: BTreeSet<&str> = variables
        .iter()
        .filter_map(|variable| variable["key"].as_str())
        .collect();
    assert!(used.is_subset(&known), "{used:?} {known:?}");
}
