"""The 52 faults the server must survive, and for each the test that makes it happen. Most lie where their part lies."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Fault(NamedTuple):
    """What goes wrong, the test that makes it happen, and what that test holds."""

    what: str
    test: str
    held: str


FAULTS: dict[int, Fault] = {
    1: Fault(
        "an exception at token N",
        "engine/local/test_worker.py::test_an_exception_fails_one_request_alone",
        "that request alone fails, its partial text kept; the others' texts are those of a sound run",
    ),
    2: Fault(
        "no device memory at prefill or token N",
        "engine/local/test_worker.py::test_out_of_memory_is_survived_by_all",
        "every request finishes, the same texts, though the step failed twice",
    ),
    3: Fault(
        "a CUDA error that stays",
        "engine/local/test_worker.py::test_a_lost_device_ends_every_request_and_asks_for_a_new_process",
        "every stream ends with an error, the state is stopped, a new process is asked for once",
    ),
    4: Fault(
        "a step that hangs",
        "faults/test_stuck_process.py::test_a_worker_that_hangs_for_good_ends_the_process_with_70",
        "exit 70 within 40 s at a watchdog of 2 s; the stream is told",
    ),
    5: Fault(
        "kill -9 in the middle",
        "test_start_sh.py::test_a_crashed_app_is_started_again",
        "started again after each end, 1, 2 and 4 s later; the half answer is kept (browser/test_saved_chats.py)",
    ),
    6: Fault(
        "a crash loop",
        "test_start_sh.py::test_an_app_that_crashes_again_and_again_is_given_up_with_a_reason",
        "6 starts, then given up with the reason and the last exit code",
    ),
    7: Fault(
        "SIGTERM under load, twice",
        "faults/test_stuck_process.py::test_sigterm_ends_a_process_whose_worker_hangs",
        "exit 0 within 27 s (12 and 15 for a busy machine); a second signal at once (in the same file)",
    ),
    8: Fault(
        "logits that are none, masks without a token",
        "engine/local/test_worker.py::test_impossible_logits_fail_one_request_with_a_clear_error",
        "an error that says so; the other request of the batch finishes",
    ),
    9: Fault(
        "an answer without end",
        "engine/local/test_worker.py::test_a_deadline_is_kept_to_the_step",
        "the deadline is kept to one step; the token limit by every engine (engine/contract.py)",
    ),
    10: Fault(
        "a character split between tokens",
        "engine/local/steps/test_detokenize.py::test_random_bytes_are_shown_as_the_whole_would_be",
        "the pieces join to the whole, for any bytes",
    ),
    11: Fault(
        "memory that grows",
        "engine/local/test_worker.py::test_a_thousand_requests_leave_nothing_behind",
        "400 more requests leave no container larger; bytes traced grow by less than the test's bound",
    ),
    12: Fault(
        "clients that leave",
        "api/test_disconnect.py::test_many_leave_at_once_and_no_slot_is_lost",
        "50 who leave in five bursts: no slot and no running request remains",
    ),
    13: Fault(
        "one user cancels another's answer",
        "attacks/test_shared_tables.py::test_a_session_is_used_by_nobody_but_its_owner",
        "403, and the answer goes on to its last word",
    ),
    14: Fault(
        "a slow reader",
        "api/test_disconnect.py::test_slow_reader_disturbs_nobody",
        "others are answered meanwhile, and its slot is free in the end",
    ),
    15: Fault(
        "half-sent requests",
        "attacks/test_before_login.py::test_1100_that_wait_leave_a_bystander_answered_and_are_cut_off",
        "1,100 connections: a bystander is answered, all are closed after 6 s",
    ),
    16: Fault(
        "200 users at once",
        "engine/test_fair_queue.py::test_bounds_hold_whoever_comes_and_goes",
        "running and queued within their limits, nobody stuck; 200 users in bench/results (soak)",
    ),
    17: Fault(
        "one greedy user",
        "engine/local/test_scheduler.py::test_a_flood_leaves_others_a_slot_and_half_the_queue",
        "whoever else comes waits for one place at most; half the queue stays free",
    ),
    18: Fault(
        "a burst of connections",
        "attacks/test_before_login.py::test_when_all_places_are_taken_the_idle_give_way",
        "60 connections on 20 places: the oldest idle are cut, a login is answered",
    ),
    19: Fault(
        "a long prefill behind an impatient proxy",
        "api/test_sse.py::test_comments_fill_the_wait",
        "a comment each interval, none between",
    ),
    20: Fault(
        "a double click",
        "browser/test_chat.py::test_a_message_is_counted_sent_by_keys_or_a_button_and_asked_once",
        "one generation",
    ),
    21: Fault(
        "a prompt of 10 MB",
        "http/test_middleware.py::test_a_larger_one_is_refused",
        "413, announced or not; 4 MiB is the most that is read",
    ),
    22: Fault(
        "a prompt or a chat too long",
        "chat/test_window.py::test_within_budget_or_nothing_more_to_give",
        "within the budget, pins and the last turn kept, for any conversation",
    ),
    23: Fault(
        "surrogates, NUL and control characters",
        "api/test_odd_values.py::test_no_value_is_a_500",
        "no 500; an error has a message",
    ),
    24: Fault(
        "role markers in text",
        "chat/test_template.py::test_no_text_from_outside_becomes_a_control_token",
        "no control token, for any text",
    ),
    25: Fault(
        "bodies of every wrong kind",
        "api/test_schemathesis.py::test_made_up_requests",
        "no 500 and the shape of the API's errors, 25 made-up requests an operation",
    ),
    26: Fault(
        "hostile schemas",
        "attacks/test_schemas.py::test_a_hostile_schema_costs_its_own_request",
        "a bystander within 20 s, at most 400 MiB more, nothing fetched",
    ),
    27: Fault(
        "very many schemas",
        "structured/grammars/test_grammar.py::test_compiled_grammars_are_kept_and_the_cache_is_bounded",
        "the cache keeps its number of entries",
    ),
    28: Fault(
        "valid schemas, random logits",
        "structured/test_with_model.py::test_forty_answers_validate_whatever_the_budget",
        "100 of 100 validate or are marked as cut",
    ),
    29: Fault(
        "uploads too big or of another kind",
        "web/uploads/test_table_upload.py::test_larger_files_are_refused_announced_or_not",
        "413 with the limit in the sentence; other kinds refused by name",
    ),
    30: Fault(
        "a table that swells",
        "attacks/test_tools.py::test_twelve_wide_tables_cost_their_bytes",
        "twelve tables of 2 MiB: their bytes and no more; bombs among 23 bad files (documents/readers/test_tasks.py)",
    ),
    31: Fault(
        "paths out of the folder, addresses within",
        "attacks/test_files.py::test_no_spelling_gets_a_file_past",
        "none of the spellings reaches Gradio",
    ),
    32: Fault(
        "hostile text of a model",
        "browser/test_unsafe_markdown.py::test_known_payloads_and_their_mutations",
        "103 payloads, each mutated: nothing outside the list, no script, no request",
    ),
    33: Fault(
        "pictures that tell",
        "browser/test_unsafe_markdown.py::test_generated_markdown",
        "generated markdown: nothing outside the list, no request",
    ),
    34: Fault(
        "guessed passwords",
        "web/test_attempts.py::test_many_guessers_slow_everybody_and_refuse_nobody",
        "twenty guessers delay everybody by DELAY_S, refuse nobody",
    ),
    35: Fault(
        "wrong keys", "api/test_keys.py::test_every_route_but_the_listed_needs_the_key", "401 on every route but four"
    ),
    36: Fault(
        "other origins",
        "web/test_page_guard.py::test_no_answer_may_be_read_by_a_page_of_another_origin",
        "no allow-origin header on any answer",
    ),
    37: Fault(
        "a public link that dies or expires",
        "web/share/test_link.py::test_a_link_that_expires_is_noticed_though_its_program_runs",
        "opened again; none of the dead ones runs",
    ),
    38: Fault(
        "users who might see each other's",
        "bench/test_soak.py::test_users_are_answered_and_kept_apart",
        "no answer with another's canary, no unplanned status",
    ),
    39: Fault(
        "old cookies after a restart",
        "web/test_login.py::test_old_and_forged_cookies_lead_to_the_login",
        "the login page, for any cookie",
    ),
    40: Fault("damaged models", "models/files/test_folder.py::test_damage_is_named", "the file is named, exit 3"),
    41: Fault(
        "a download that is killed",
        "models/test_fetch.py::test_a_new_start_goes_on_with_what_is_there",
        "goes on at the byte it had; the whole is the hub's",
    ),
    42: Fault(
        "a hub in trouble",
        "models/test_fetch.py::test_lasting_trouble_is_told_after_a_bounded_number_of_tries",
        "ends after ATTEMPTS tries with the status",
    ),
    43: Fault(
        "a full disk at a download",
        "models/test_fetch.py::test_a_full_disk_keeps_what_arrived",
        "exit 4, what came is kept as a part",
    ),
    44: Fault(
        "a full disk while running",
        "faults/test_disk_full.py::test_chats_go_on_and_are_saved_whole_once_there_is_room",
        "answers go on, the page says why they are not saved, and all are saved once there is room",
    ),
    45: Fault(
        "a file of saved chats that is damaged, newer or in the way",
        "saved_chats/test_database.py::"
        "test_what_is_no_database_of_ours_is_set_aside_and_what_can_be_read_is_taken_over",
        "set aside by date, a new one with what could be read, told; newer or locked ones stay, chats in memory",
    ),
    46: Fault(
        "a taken port",
        "serve/test_server.py::test_the_app_with_a_taken_port_ends_before_it_loads_anything",
        "exit 2 naming the port, before anything is loaded",
    ),
    47: Fault(
        "no GPU, too little memory",
        "serve/test_engines.py::test_what_does_not_fit_is_refused_before_it_is_loaded",
        "refused with the context that would fit, before it is loaded",
    ),
    48: Fault(
        "bad settings",
        "settings/test_settings.py::test_bad_settings_end_the_process_before_torch_is_imported",
        "exit 2 with each setting by name, torch not imported",
    ),
    49: Fault(
        "two copies in one folder",
        "faults/test_one_copy.py::test_the_second_copy_names_the_first_and_leaves_its_note_alone",
        "the second ends with the first one's port; the note stays",
    ),
    50: Fault(
        "a flood of log lines", "serve/test_logs.py::test_the_files_stay_small_and_few", "five files of 10 MB at most"
    ),
    51: Fault(
        "a clock that is set back",
        "faults/test_table.py::test_no_limit_is_kept_by_a_clock_that_can_be_set",
        "no limit reads a clock that can be set",
    ),
    52: Fault(
        "a changed package",
        "test_start_sh.py::test_a_changed_package_is_refused",
        "exit 4, by uv and by pip; the file that was known is taken",
    ),
}

# Where limits, deadlines and waits are kept.
KEEP_LIMITS = ("http", "web", "api/access", "engine", "serve", "sandbox", "service.py", "table_store.py")


def test_the_table_is_whole() -> None:
    assert list(FAULTS) == list(range(1, 53))


@pytest.mark.parametrize("number", FAULTS)
def test_each_fault_has_its_test(number: int) -> None:
    path, _, name = FAULTS[number].test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in names


@pytest.mark.parametrize("room", KEEP_LIMITS)
def test_no_limit_is_kept_by_a_clock_that_can_be_set(room: str) -> None:
    place = ROOT / "qwen_app" / room
    for path in [place] if place.is_file() else place.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            asked = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            assert asked not in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow"), path
