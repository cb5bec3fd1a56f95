"""Whatever a job does, it ends within its limits, alone, and the next one runs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from qwen_app.errors import EngineUnavailable, OverBudget, TooManyRequests
from qwen_app.sandbox.pool import ROOT, WAITING_LIMIT, WAITING_PER_USER, Limits, Sandbox

pytestmark = pytest.mark.anyio
SHORT = Limits(cpu_s=0.3, wall_factor=2.0)
PATIENT = Limits(cpu_s=30.0)


@pytest.fixture(scope="module")
def pool() -> Iterator[Sandbox]:
    pool = Sandbox(tasks="tests.sandbox.faults")
    yield pool
    pool.close()


async def test_a_result_comes_back_as_it_is(pool: Sandbox) -> None:
    value = {"text": "你好 \ud800", "list": [1, 2.5, None, True]}
    assert await pool.run("echo", value, user="ada") == value


@pytest.mark.parametrize(
    ("fault", "limit"),
    [
        ("loop", "time"),
        ("sleep", "time"),
        ("native", "time"),
        ("swell", "memory"),
        ("abort", "crash"),
        ("deep", "crash"),
        ("long", "output"),
    ],
)
async def test_a_fault_ends_its_job_alone(pool: Sandbox, fault: str, limit: str) -> None:
    with pytest.raises(OverBudget) as refused:
        await pool.run("fault", fault, user="mallory", limits=SHORT if limit == "time" else PATIENT)
    assert refused.value.limit == limit
    assert await pool.run("echo", 1, user="ada") == 1


async def test_work_is_bounded_in_cpu_time_whatever_time_it_may_take(pool: Sandbox) -> None:
    patient = Limits(cpu_s=0.3, wall_factor=2000.0)
    async with asyncio.timeout(60):
        with pytest.raises(OverBudget, match="too long"):
            await pool.run("fault", "loop", user="mallory", limits=patient)


@pytest.mark.slow
async def test_one_user_cannot_hold_all_children(pool: Sandbox) -> None:
    attack = [asyncio.create_task(pool.run("fault", "sleep", user="mallory", limits=SHORT)) for _ in range(4)]
    await asyncio.sleep(0.1)
    assert await pool.run("echo", 1, user="ada") == 1
    assert not any(task.done() for task in attack)
    await asyncio.gather(*attack, return_exceptions=True)


@pytest.mark.slow
async def test_guests_together_cannot_hold_all_children(pool: Sandbox) -> None:
    guests = [f"guest {number}" for number in range(4)]
    attack = [asyncio.create_task(pool.run("fault", "sleep", user=guest, limits=SHORT)) for guest in guests]
    await asyncio.sleep(0.1)
    assert await pool.run("echo", 1, user="ada") == 1
    assert not any(task.done() for task in attack)
    outcomes = await asyncio.gather(*attack, return_exceptions=True)
    assert all(isinstance(outcome, OverBudget) for outcome in outcomes)  # each had its turn


@pytest.mark.slow
async def test_one_user_cannot_fill_the_queue(pool: Sandbox) -> None:
    jobs = [pool.run("fault", "sleep", user="mallory", limits=SHORT) for _ in range(WAITING_PER_USER + 4)]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(outcome, TooManyRequests) for outcome in outcomes) >= 2
    assert await pool.run("echo", 1, user="ada") == 1


async def test_guests_together_leave_places_in_the_queue_to_others() -> None:
    pool = Sandbox(workers=0, tasks="tests.sandbox.faults")  # nobody serves: what is asked waits
    for number in range(WAITING_LIMIT // 2):
        pool.submit("echo", 1, user=f"guest {number}", limits=SHORT)
    with pytest.raises(TooManyRequests):
        pool.submit("echo", 1, user="guest of one link more", limits=SHORT)
    waiting = pool.submit("echo", 1, user="ada", limits=SHORT)
    assert not waiting.done()
    pool.close()


async def test_a_job_that_nobody_waits_for_any_more_is_not_run(pool: Sandbox) -> None:
    running = asyncio.create_task(pool.run("fault", "sleep", user="ada", limits=SHORT))
    waiting = asyncio.create_task(pool.run("echo", 1, user="ada"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(OverBudget):
        await running
    assert await pool.run("echo", 2, user="ada") == 2


@pytest.mark.parametrize("user", ["ada", "guest 1"])
def test_a_job_that_nobody_waits_for_any_more_keeps_no_place_in_the_queue(user: str) -> None:
    pool = Sandbox(workers=0, tasks="tests.sandbox.faults")  # nobody serves: what is asked waits
    for _ in range(WAITING_LIMIT):
        pool.submit("echo", 1, user=user, limits=SHORT).cancel()
    waiting = [pool.submit("echo", 1, user=user, limits=SHORT) for _ in range(WAITING_PER_USER)]
    with pytest.raises(TooManyRequests):
        pool.submit("echo", 1, user=user, limits=SHORT)
    assert not any(job.done() for job in waiting)
    pool.close()


async def test_a_child_that_was_killed_is_started_again(pool: Sandbox) -> None:
    pid = await pool.run("fault", "parent", user="ada")
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.1)
    for _ in range(3):
        try:
            assert await pool.run("echo", 1, user="ada") == 1
        except OverBudget:
            continue  # the job that met the dead child


async def test_a_child_knows_no_secret_of_its_server(pool: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN_AUTH", "ada:secret")
    other = Sandbox(workers=1, tasks="tests.sandbox.faults")
    try:
        names = await other.run("fault", "environment", user="ada")
        assert isinstance(names, list)
        assert not any(str(name).startswith("QWEN") for name in names)
    finally:
        other.close()


def test_what_a_library_says_of_a_visitors_text_reaches_no_console() -> None:
    asked = (
        "import asyncio; from qwen_app.sandbox.pool import Sandbox\n"
        "pool = Sandbox(workers=1, tasks='tests.sandbox.faults')\n"
        "print([asyncio.run(pool.run('fault', 'talk', user='ada')) for _ in range(2)]); pool.close()"
    )
    run = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("[None, None]\n", "")


async def test_a_machine_that_gives_no_thread_more_holds_nobody_up(
    pool: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(timer: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", refuse)
        for _ in range(4):  # more than there are children
            with pytest.raises(EngineUnavailable):
                async with asyncio.timeout(20):
                    await pool.run("echo", 1, user="ada")
    assert await pool.run("echo", 1, user="ada") == 1


async def test_a_closed_pool_refuses() -> None:
    pool = Sandbox(workers=1)
    pool.close()
    with pytest.raises(EngineUnavailable):
        await pool.run("echo", 1, user="ada")
