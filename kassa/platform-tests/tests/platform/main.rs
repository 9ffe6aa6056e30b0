//! The whole platform on real parts, through the gateway: one stack for all tests, which run one after the other.

mod answers;
mod cluster;
mod contract;
mod crashes;
mod dead_letters;
mod growth;
mod http_file;
mod idempotency;
mod members;
mod observed;
mod orders;
mod outages;
mod page;
mod poison;
mod replays;
mod replicas;
mod waiting;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use platform_tests::Platform;
use tokio::runtime::Runtime;

/// What a test needs: the platform, and a runtime to wait on.
struct Bench {
    platform: Platform,
    runtime: Runtime,
}

/// A test is an async function over the platform.
macro_rules! trials {
    ($bench:expr; $($module:ident :: $test:ident),* $(,)?) => {
        vec![$({
            let bench = $bench.clone();
            Trial::test(concat!(stringify!($module), "::", stringify!($test)), move || {
                Ok(bench.runtime.block_on($module::$test(&bench.platform))?)
            })
        }),*]
    };
}

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        // A list needs no platform, but the trials need a value to be made of.
        println!("the tests of this binary are the functions of its modules");
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = Runtime::new()?;
    let platform = {
        let _guard = runtime.enter();
        Platform::start()?
    };
    let bench = Arc::new(Bench { platform, runtime });
    let conclusion = libtest_mimic::run(&arguments, all(&bench));
    // The conclusion leaves the process without running destructors, and the platform must be stopped.
    drop(bench);
    Ok(if conclusion.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// In an order that a reader can follow: what users do, then what breaks, then what operators do about it.
fn all(bench: &Arc<Bench>) -> Vec<Trial> {
    let mut all = trials![bench;
        orders::a_paid_order_goes_from_new_to_finished,
        orders::an_order_over_the_balance_is_cancelled,
        orders::an_order_without_an_account_is_cancelled,
        orders::exactly_k_of_n_parallel_orders_are_paid,
        orders::a_repeated_post_makes_one_order,
        orders::a_repeated_top_up_adds_once,
        orders::parallel_openings_make_one_account,
        orders::pages_follow_their_links,
        answers::wrong_amounts_are_refused,
        answers::right_amounts_are_accepted,
        answers::another_users_order_is_not_found,
        answers::every_error_is_a_problem,
        answers::a_request_id_comes_back,
        answers::the_gateways_document_is_merged_and_served,
        answers::readiness_lists_each_upstream,
        growth::a_minute_of_load_leaves_memory_files_and_tables_as_they_were,
    ];
    all.extend(trials![bench;
        contract::the_committed_document_is_the_one_that_is_served,
        contract::every_document_is_valid,
        contract::the_gateway_keeps_its_document,
        contract::the_orders_api_keeps_its_document,
        contract::the_payments_api_keeps_its_document,
        contract::whoever_says_who_he_is_orders_and_pays_in_swagger_ui,
        contract::the_postman_collection_runs_through,
        contract::the_requests_of_the_http_file_do_what_their_titles_say,
    ]);
    all.extend(trials![bench;
        page::its_modules_keep_their_promises,
        page::a_person_orders_and_sees_it_paid_or_declined,
        page::two_tabs_and_another_browser_agree,
        page::an_order_waits_in_sight_and_finishes_by_itself,
        page::what_is_wrong_is_said_at_its_field,
        page::everything_is_done_without_a_mouse,
        page::nothing_is_done_twice_when_an_answer_is_lost,
        page::an_order_is_watched_without_its_stream_too,
        page::it_fits_a_telephone_and_both_colour_schemes,
    ]);
    all.extend(crashes::trials(bench));
    all.extend(trials![bench;
        crashes::a_service_that_is_down_is_a_problem_of_the_gateway,
        idempotency::copies_by_two_gateways_and_two_apis_make_one_order,
        idempotency::a_body_is_the_same_however_it_is_written,
        idempotency::what_was_never_done_is_not_remembered,
        waiting::a_post_that_waits_is_answered_with_the_closed_order,
        waiting::a_get_waits_as_long_as_it_is_asked_to_and_no_longer,
        waiting::a_stream_tells_of_each_change_and_ends_with_the_order,
        waiting::a_stream_in_which_nothing_happens_is_kept_alive,
        waiting::a_stream_goes_on_after_its_replica_died,
        waiting::every_replica_tells_of_an_order_that_another_one_took,
        observed::one_trace_holds_all_hops_of_an_order,
        observed::a_timeline_tells_when_an_order_passed_each_stage,
        outages::an_outage_makes_no_dead_letters,
        outages::the_registry_may_vanish_after_the_start,
        outages::a_front_that_starts_without_the_registry_waits_for_it,
        replays::replayed_topics_change_no_row,
        replays::positions_beyond_the_end_of_a_topic_go_back_to_its_records,
        replays::a_stalled_consumer_that_wakes_up_writes_nothing,
        members::a_killed_processor_has_its_partitions_back_and_the_others_notice_nothing,
        members::a_processor_that_is_asked_to_stop_hands_its_partitions_over,
        members::a_processor_that_is_left_without_partitions_is_ready,
        members::of_two_processes_with_one_name_the_older_one_ends,
        dead_letters::bad_records_are_parked_and_harm_nobody,
        dead_letters::a_parked_record_is_applied_once_its_cause_is_gone,
        dead_letters::a_key_waits_behind_its_failed_record_and_goes_on_in_order,
        poison::every_kind_of_bad_request_is_parked_and_stops_nobody,
        poison::every_kind_of_bad_status_is_parked_and_stops_nobody,
        replicas::two_of_every_process_give_the_same_result,
    ]);
    all.extend(cluster::trials(bench));
    all
}
