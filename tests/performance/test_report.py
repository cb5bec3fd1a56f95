from __future__ import annotations

import pytest

from qwen_app.engine.base import EngineInfo
from qwen_app.messages import SamplingParams
from qwen_app.performance.cards import copy_bandwidth, stated_bandwidth
from qwen_app.performance.machine import Machine, machine_of
from qwen_app.performance.published import published_for
from qwen_app.performance.report import PerformanceReport
from qwen_app.performance.values import BenchRun, Figure, Size
from qwen_app.settings import Settings

INFO = EngineInfo("Qwen/Qwen2.5-7B-Instruct", "main", "fp16", "RTX 4090", 32_768, 8, SamplingParams(), 15 * 10**9)
MACHINE = Machine("RTX 4090", 15 * 10**9, 2 * 10**9, 18 * 10**9, 14 * 10**9, 57_344, 1008e9, 900e9, ())
FIGURES = (Figure(Size(1024, 1), 800, 0.1, 0.1, 60.0), Figure(Size(1024, 8), 800, 0.5, 0.9, 0.0))
REPORT = PerformanceReport(INFO, BenchRun((Size(1024, 1), Size(1024, 8)), FIGURES, end="done"), MACHINE)


def test_the_limit_is_the_bandwidth_over_what_a_step_reads() -> None:
    assert MACHINE.limit_tokens_per_s(Size(1024, 1)) == pytest.approx(1008e9 / (14e9 + 1024 * 57_344))
    assert MACHINE.limit_tokens_per_s(Size(1024, 8)) == pytest.approx(8 * 1008e9 / (14e9 + 8 * 1024 * 57_344))


def test_the_tables_stand_beside_what_was_published() -> None:
    text = REPORT.markdown("en")
    assert "| 1,024 | 1 | 0.10 s | 0.10 s | 60 | 60 | 71.7 | 84% |" in text
    assert "| 1,024 | 8 | 0.50 s | 0.90 s | – | – | – | – |" in text
    assert "| vLLM | BF16 | 84.3 | 80.7 | 77.7 | 70.3 |" in text
    assert "| this server | fp16 | 60 | 60 | 60 | 60 |" in text
    assert "speed_benchmark.rst" in text
    assert "has 49% of that card's bandwidth" in text


def test_it_is_told_in_chinese_too() -> None:
    text = REPORT.markdown("zh")
    assert "首个词元" in text
    assert "first token" not in text


def test_charts_have_a_line_for_each_number_of_users() -> None:
    speed, first = REPORT.charts("en")
    assert "1 user: 60" in speed
    assert "8 users: 0.5" in first


def test_another_model_has_no_published_figures() -> None:
    assert published_for("/models/Qwen--Qwen2.5-0.5B-Instruct@main")[0].tokens_per_s[0] == 47.40
    assert published_for("someone/else") == ()


@pytest.mark.parametrize(
    ("name", "gb"),
    [
        ("NVIDIA GeForce RTX 4090", 1008),
        ("NVIDIA GeForce RTX 3090 Ti", 1008),
        ("NVIDIA GeForce RTX 3090", 936),
        ("NVIDIA GeForce RTX 3080 Ti", 912),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", 672),
        ("NVIDIA GeForce RTX 4070 Ti", 504),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 0),  # half of what its namesake has
        ("NVIDIA GeForce RTX 3080 Ti Laptop GPU", 0),
        ("NVIDIA RTX A5000 Laptop GPU", 0),
        ("NVIDIA GeForce RTX 4090 D", 0),
        ("NVIDIA A100-SXM4-80GB", 2039),
        ("NVIDIA A100 80GB PCIe", 1935),
        ("NVIDIA A100-SXM4-40GB", 1555),
        ("NVIDIA H100 80GB HBM3", 3350),
        ("NVIDIA H100 PCIe", 2000),
        ("NVIDIA L4", 300),
        ("NVIDIA L40S", 864),
        ("NVIDIA A10G", 600),
        ("NVIDIA A10", 600),
        ("Tesla T4", 320),
        ("2 x NVIDIA L4", 300),
        ("CPU", 0),
    ],
)
def test_cards_are_known_by_their_names(name: str, gb: float) -> None:
    assert stated_bandwidth(name) == gb * 1e9


def test_this_machine_is_measured() -> None:
    assert copy_bandwidth("cpu") > 1e8
    machine = machine_of(
        EngineInfo("builtin", "", "int4", "CPU", 8192, 2, SamplingParams(), 10**8),
        Settings(model="Qwen/Qwen2.5-7B-Instruct"),
    )
    assert machine is not None
    assert machine.held_bytes > 10**7
    assert {plan.precision for plan in machine.planned} >= {"int4"}
    assert all(plan.need_bytes > plan.weights_bytes > 10**9 for plan in machine.planned)


def test_another_servers_machine_is_not_known() -> None:
    assert machine_of(INFO, Settings(engine="remote", base_url="http://localhost:1/v1")) is None
