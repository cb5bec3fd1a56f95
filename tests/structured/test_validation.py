"""Answers against their schema: linear, offline, and JSON alone."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing, suppress

import pytest

from qwen_app.errors import SchemaError
from qwen_app.structured.validation import check_against_draft, validate_text


@pytest.mark.parametrize("text", ["421e973", "-1e999", "12345678901234567890", "1e-400"])
def test_any_number_that_json_has_is_a_number(text: str) -> None:
    assert validate_text(text, {"type": "number"}) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "{", "[" * 100_000, '{"a": 1, "a": 2}'])
def test_what_is_no_json_is_wrong(text: str) -> None:
    assert validate_text(text, {}) is not None


def test_the_place_of_a_fault_is_told() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    assert str(validate_text('{"a": [1, "x"]}', schema)).startswith("At $.a[1]: ")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "whatever"},
        {"minimum": "a"},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:1/"},
        {"$id": "http://127.0.0.1:1/x", "$ref": "y"},
        {"$schema": "http://127.0.0.1:1/"},
        json.loads('{"items":' * 300 + "{}" + "}" * 300),  # deeper than the library reads; the bounds refuse it before
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(SchemaError):
        check_against_draft(schema)


def test_a_pattern_that_must_go_back_gets_a_bounded_number_of_steps() -> None:
    """Look-around needs an engine that goes back: here over every way to split the letters, before it would match."""
    schema = {"type": "string", "pattern": "^(?:(?:(?=a)a+)+b|a+!)$"}
    assert validate_text('"aaaa!"', schema) is None
    assert "backtracking" in str(validate_text('"' + "a" * 18 + '!"', schema))


def test_no_reference_is_followed_to_another_machine() -> None:
    """The bounds refuse such references before; here they meet the library alone."""
    asked: list[bytes] = []

    def answer() -> None:
        with suppress(OSError):  # closed at the end
            while True:
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        for schema in ({"$ref": url}, {"$id": url, "$ref": "y"}, {"properties": {"a": {"$dynamicRef": url}}}):
            with pytest.raises(SchemaError):
                check_against_draft(schema)
        with closing(socket.create_connection(listener.getsockname())) as own:  # all that came before is noted by now
            own.sendall(b"done")
            assert own.recv(1) == b""
    assert asked == [b"done"]
