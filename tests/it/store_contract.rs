//! The contract of the store as tests: every store runs every case.
//!
//! `contract_tests!(name, FixtureType)` is the line that a store needs here, and `reopen_tests!` the second one where it
//! keeps what it has. How a store is opened, and opened again, its [`Fixture`](fixture::Fixture) says. The cases speak
//! to `dyn Store` alone.

mod comparison;
mod embargo;
mod entries;
mod feed;
mod fixture;
mod idempotency;
mod log;
mod reopen;
mod retraction;
mod steps;
mod topics;
mod view;

macro_rules! contract_tests {
    ($module:ident, $fixture:ident) => {
        mod $module {
            use super::fixture::$fixture;

            cases! { $fixture;
                log: offsets_are_dense_and_changes_read_as_encoded
                    concurrent_appends_are_each_stored_once_in_feed_order
                    a_bad_step_takes_the_others_with_it
                    topics_do_not_mix
                    long_and_odd_text_comes_back_as_it_went_in
                    reads_keep_to_their_limits
                    the_audit_trail_has_every_step_and_no_body;
                topics: an_append_makes_a_topic_only_where_it_may
                    a_refused_append_makes_no_topic
                    the_number_of_topics_is_bounded
                    topics_page_in_the_order_of_their_names
                    public_topics_come_by_their_newest_change
                    named_topics_come_by_their_newest_change
                    the_topic_document_is_replaced_at_its_revision
                    an_ended_topic_takes_no_new_entries
                    an_append_can_end_a_topic_for_its_own_later_steps;
                entries: an_id_is_used_once
                    a_revision_is_refused_when_stale
                    steps_of_one_append_build_on_each_other
                    snapshots_page_by_first_offset_newest_first
                    entries_keep_their_numbers
                    filters_show_what_stands
                    what_is_not_there_reads_as_nothing;
                retraction: a_retracted_body_is_on_no_path
                    a_retraction_is_refused_where_it_makes_no_sense
                    published_and_retracted_at_once_never_shows_the_body
                    earlier_changes_keep_their_place_and_time;
                embargo: a_held_entry_has_no_trace_before_its_release
                    a_held_entry_is_revised_and_dropped
                    held_entries_stand_in_the_order_of_their_release
                    a_release_works_once_and_in_an_ended_topic
                    hold_and_release_in_one_append;
                idempotency: a_repetition_gets_the_first_answer
                    a_key_stands_for_one_request
                    the_key_is_looked_at_first
                    a_refused_append_remembers_nothing
                    keys_belong_to_their_topic
                    racing_repetitions_store_once
                    the_answer_outlives_the_entry
                    an_id_of_the_publishers_own_stands_for_its_content
                    a_dropped_hold_frees_its_id
                    what_changes_nothing_is_remembered_as_well;
                feed: the_feed_has_every_change_once_in_commit_order
                    the_feed_is_taken_once
                    what_changes_nothing_is_not_in_the_feed
                    appends_are_bounded_while_nobody_reads_the_feed
                    a_dropped_receipt_does_not_drop_the_append
                    a_feed_that_is_gone_stops_nothing;
                comparison: random_appends_read_as_in_the_memory_store;
            }
        }
    };
}

/// The cases of a store that keeps what it has, beside those of [`contract_tests`].
macro_rules! reopen_tests {
    ($module:ident, $fixture:ident) => {
        mod $module {
            use super::fixture::$fixture;

            cases! { $fixture;
                reopen: everything_is_there_after_a_reopen
                    a_key_is_remembered_after_a_reopen
                    a_held_entry_is_released_after_a_reopen
                    a_retraction_holds_after_a_reopen;
            }
        }
    };
}

macro_rules! cases {
    ($fixture:ident; $($area:ident: $($case:ident)+;)+) => {
        $($(
            #[test]
            fn $case() {
                if <$fixture as super::fixture::Fixture>::is_missing() {
                    return;
                }
                super::$area::$case::<$fixture>();
            }
        )+)+
    };
}

contract_tests!(memory, MemoryFixture);
contract_tests!(sqlite, SqliteFixture);
reopen_tests!(sqlite_reopened, SqliteFixture);
contract_tests!(jetstream, JetStreamFixture);
reopen_tests!(jetstream_reopened, JetStreamFixture);

/// Publishes one entry on a store, and gives its offset: for tests of one store beside its contract.
pub fn publish_one(
    store: &dyn tenbells::store::Store,
    topic: &str,
    id: &str,
) -> Option<tenbells::model::Offset> {
    let append = steps::append(topic, vec![steps::publish(id, "x")]);
    steps::stored(store, append).steps[0].offset
}

/// Publishes one entry whose fate the store can't know, and gives what it says.
pub fn publish_into_the_unknown(
    store: &dyn tenbells::store::Store,
    topic: &str,
    id: &str,
) -> String {
    let append = steps::append(topic, vec![steps::publish(id, "x")]);
    match store.append(append).wait_blocking() {
        Err(tenbells::store::AppendError::OutcomeUnknown(why)) => why,
        known => panic!("{known:?}"),
    }
}
