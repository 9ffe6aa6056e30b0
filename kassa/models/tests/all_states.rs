//! All states of both models.

use std::path::Path;

use models::consumer::ConsumerModel;
use models::relay::RelayModel;
use models::{check, mistakes_table, states_table};

#[test]
fn every_state_of_both_models_keeps_the_rules_and_their_number_is_the_documents() {
    let consumer = check(ConsumerModel::new(None));
    assert!(consumer.broken.is_empty(), "{:#?}", consumer.broken);
    let relay = check(RelayModel { mistake: None });
    assert!(relay.broken.is_empty(), "{:#?}", relay.broken);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md");
    let text = std::fs::read_to_string(document).expect("docs/models.md is there");
    for table in [
        states_table(&[("consumer", &consumer), ("relay", &relay)]),
        mistakes_table(),
    ] {
        assert!(
            text.contains(&table),
            "put what `cargo kassa models` prints into docs/models.md:\n{table}"
        );
    }
    let figures = [
        ("states of the consumer", consumer.states.to_string()),
        ("states of the relay", relay.states.to_string()),
        ("broken properties", "0".to_owned()),
    ];
    kassa::evidence::record("models, all states", &figures);
}
