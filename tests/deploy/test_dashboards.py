"""Dashboard and alert rules ask for what the app measures: every metric and label in them is one that it exposes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from qwen_app.errors import AppError, EngineError, OutOfDeviceMemory
from qwen_app.metrics import ALERTED
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import running_api
from tests.nvml_stand_in import stand_in

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROMETHEUS_OWN = {"up": {"job"}}
ADDED_BY_PROMETHEUS = {"job", "instance"}
NAME = re.compile(r"\b(?:qwen|process)_[a-z_]+|\bup\b")
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
BY = re.compile(r"by \(([^)]*)\) \((?:rate\()?(\w+)")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """Every sample's name with its labels, on a card, after an answer, a failure, a refusal and an ignored field."""
    failing = Script(error=OutOfDeviceMemory("No memory."), error_at=1)
    engine = ScriptedEngine(lambda request: failing if request.sampling.seed == 1 else Script(), gpu_uuids=("GPU-a",))
    with pytest.MonkeyPatch.context() as patch, running_api(engine, fresh=True) as api:
        stand_in(patch, GPU_a=(87, 15 * 10**9, 24 * 10**9, 71))
        while not api.service.gpus.readings():
            time.sleep(0.01)
        for fields in ({}, {"seed": 1}, {"n": 999}, {"store": True}):
            api.chat(**fields)
        text = api.request("GET", "/metrics").text
    found = dict(PROMETHEUS_OWN)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels, ADDED_BY_PROMETHEUS)
    return found


def test_every_metric_asked_for_is_exposed(exposed: dict[str, set[str]]) -> None:
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(asked) > 15
    assert asked - exposed.keys() == set()


def codes_of(kind: type[AppError]) -> set[str]:
    """Of errors of this kind and of all narrower ones that HTTP calls the server's fault."""
    own = {kind.code} if kind.http_status >= 500 else set()
    return own.union(*map(codes_of, kind.__subclasses__()))


def test_answers_that_fail_by_our_fault_are_seen_wherever_they_were_asked_for() -> None:
    """On the page, whose answers have no HTTP status of their own, as by the API; and from the very first."""
    (fails,) = (rule["expr"] for rule in alerts() if rule["alert"] == "QwenFails")
    (outcomes,) = re.findall(r'qwen_requests_ended_total\{outcome=~"([^"]*)"\}', fails)
    assert set(outcomes.split("|")) == codes_of(EngineError)
    assert codes_of(EngineError) <= set(ALERTED)


def test_every_outcome_asked_for_is_counted_from_0(outcomes: dict[str, float]) -> None:
    """A rate or an increase does not see a counter that begins at 1."""
    asked = {
        outcome
        for expression in expressions()
        for value in re.findall(r'outcome=~?"([^"]*)"', expression)
        for outcome in value.split("|")
    }
    assert asked == set(ALERTED)
    assert {name: outcomes.get(name) for name in asked} == dict.fromkeys(asked, 0.0)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, float]:
    """How often requests ended in which way, of a server that was asked nothing yet."""
    with running_api(ScriptedEngine(), fresh=True) as api:
        families = text_string_to_metric_families(api.request("GET", "/metrics").text)
    samples = (sample for family in families for sample in family.samples)
    return {one.labels["outcome"]: one.value for one in samples if one.name == "qwen_requests_ended_total"}


def test_probes_that_say_not_ready_are_no_failures() -> None:
    (fails,) = (rule["expr"] for rule in alerts() if rule["alert"] == "QwenFails")
    (statuses,) = re.findall(r'status=~"([^"]*)"', fails)
    assert "503" not in re.split(r"\|", statuses)
    assert not re.fullmatch(statuses, "503")


def test_figures_are_read_and_judged_often_enough_to_see_a_stall_before_it_ends() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["global"]
    assert (config["scrape_interval"], config["evaluation_interval"]) == ("15s", "15s")
    (ready,) = (rule for rule in alerts() if rule["alert"] == "QwenNotReady")
    assert ready["for"] == "1m"


def test_every_label_asked_for_is_there(exposed: dict[str, set[str]]) -> None:
    asked = {
        (name, label)
        for expression in expressions()
        for name, labels in SELECTOR.findall(expression)
        for label in re.findall(r"(\w+)\s*[=!]", labels)
    }
    asked |= {
        (name, label.strip())
        for expression in expressions()
        for labels, name in BY.findall(expression)
        for label in labels.split(",")
    }
    assert ("qwen_requests_ended_total", "outcome") in asked
    assert [(name, label) for name, label in asked if label not in exposed[name]] == []


def test_every_figure_of_ours_is_on_the_dashboard(exposed: dict[str, set[str]]) -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name in NAME.findall(target["expr"])}
    ours = {name for name in exposed if name.startswith("qwen_") and not name.endswith(("_sum", "_count", "_created"))}
    assert ours - shown == {"qwen_requests_admitted_total"}  # it is the sum of those that ended


def test_alerts_have_names_of_their_own_and_say_what_to_do() -> None:
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    runbook = (ROOT / "DEPLOYMENT.md").read_text(encoding="utf-8")
    for rule in rules:
        assert f"`{rule['alert']}`" in runbook
        assert len(rule["annotations"]["summary"]) > 20
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_prometheus_reads_the_rules_that_are_here() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert [name for name in config["rule_files"] if not (DEPLOY / name).is_file()] == []
    assert {scrape["job_name"] for scrape in config["scrape_configs"]} == {"qwen"}


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in panels()
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
