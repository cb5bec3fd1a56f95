"""The built-in model in int4: beside float32, beside llama.cpp on the same file, and through the server's door."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.contenders import STORY, Ours, chronicle
from bench.http import over_http
from bench.report import Report
from bench.servers import app_server, llama_cpp_server
from qwen_app.models.loading.loaded_model import LoadedModel

USERS = {1: "one", 8: "eight"}
INT4, FLOAT32, SERVER, LLAMA_CPP = "int4", "float32", "app.py over HTTP", "llama.cpp over HTTP"
# In a round, at each number of users: what somebody gets in a moment says little, and the slower take longer for each.
TURNS = {INT4: {1: 5, 8: 5}, SERVER: {1: 5, 8: 5}, LLAMA_CPP: {1: 3, 8: 2}, FLOAT32: {1: 2, 8: 1}}


def int4_beside_others(
    report: Report,
    float32: LoadedModel,
    int4: LoadedModel,
    folder: Path,
    *,
    threads: int,
    rounds: int,
    tokens: int,
    prompt_tokens: int,
) -> None:
    """Decode speed of all four at 1 and 8 users, and how fast they read a prompt; within a round one follows the other,
    so that noise falls on all."""
    speeds: dict[tuple[str, int], list[float]] = {}
    reading_s: dict[str, list[float]] = {}
    with app_server(folder.parent) as ours, llama_cpp_server(slots=max(USERS), threads=threads) as theirs:
        servers = {name: port for name, port in ((SERVER, ours), (LLAMA_CPP, theirs)) if port is not None}
        for port in servers.values():
            _through(port, ["Hello"], 4)  # the first is slower
        through = {name: partial(_through, port, tokens=tokens) for name, port in servers.items()}
        for number in range(rounds):
            prompt = chronicle(float32, prompt_tokens, number)
            for name, loaded, beside in ((INT4, int4, through), (FLOAT32, float32, {})):
                engine = Ours(loaded)
                engine.run(["Hello"], 4)
                _add_speeds(speeds, {name: partial(_alone, engine, tokens=tokens), **beside}, number)
                reading_s.setdefault(name, []).append(engine.run([prompt], 2)[0].first_token_s)
                engine.close()
            for name, port in servers.items():
                reading_s.setdefault(name, []).append(over_http(port, [prompt], 2).answers[0].first_token_s)
    for (name, users), values in speeds.items():
        report.add(f"decode, {users} {'user' if users == 1 else 'users'}", name, statistics.median(values), "tokens/s")
    for name, seconds in reading_s.items():
        report.add(f"first token, {prompt_tokens} tokens, cold", name, statistics.median(seconds), "s")
    report.ratio_of("int4_vs_float32_prompt", reading_s[FLOAT32], reading_s[INT4])
    report.ratio_of("int4_vs_llamacpp_prompt", reading_s.get(LLAMA_CPP, []), reading_s[SERVER])
    for users, word in USERS.items():
        clients = f"{word}_client{'' if users == 1 else 's'}"
        people = f"{word}_user{'' if users == 1 else 's'}"
        report.ratio_of(f"int4_vs_float32_{people}", speeds[INT4, users], speeds[FLOAT32, users])
        report.ratio_of(f"int4_vs_llamacpp_{people}", speeds[SERVER, users], speeds.get((LLAMA_CPP, users), []))
        report.ratio_of(f"server_vs_engine_{clients}", speeds[SERVER, users], speeds[INT4, users])


def _prompts(users: int, number: int) -> list[str]:
    return [STORY.format(100 * number + user) for user in range(users)]


def _add_speeds(
    speeds: dict[tuple[str, int], list[float]], contenders: Mapping[str, Callable[[Sequence[str]], float]], number: int
) -> None:
    """One speed of each contender at each number of users: the median of turns that they take one after the other."""
    for users in USERS:
        turns = {name: TURNS[name][users] for name in contenders}
        most = max(turns.values())
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(most):
            for name, speed in contenders.items():
                if turn < turns[name]:
                    taken[name].append(speed(_prompts(users, most * number + turn)))
        for name, its in taken.items():
            speeds.setdefault((name, users), []).append(statistics.median(its))


def _alone(engine: Ours, prompts: Sequence[str], tokens: int) -> float:
    """Tokens a second of all answers, each from its first token on."""
    answers = engine.run(prompts, tokens)
    return sum((len(answer.tokens) - 1) / (answer.tokens[-1] - answer.tokens[0]) for answer in answers)


def _through(port: int, prompts: Sequence[str], tokens: int) -> float:
    run = over_http(port, prompts, tokens)
    return sum((answer.tokens - 1) / (answer.total_s - answer.first_token_s) for answer in run.answers)
