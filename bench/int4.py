"""The built-in model in int4: beside float32, beside llama.cpp on the same file, and through the server's door."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.contenders import STORY, Answer, Ours, chronicle, on_own_thread
from bench.http import over_http
from bench.report import Report
from bench.servers import app_server, llama_cpp_server
from qwen_app.models.loader import LoadedModel, load

USERS = {1: "one", 8: "eight"}
PROMPT_TOKENS = 1500
INT4, FLOAT32, SERVER, LLAMA_CPP = "int4", "float32", "app.py over HTTP", "llama.cpp over HTTP"


def int4_beside_others(
    report: Report, float32: LoadedModel, folder: Path, *, threads: int, rounds: int, tokens: int
) -> None:
    """Decode speed of all four at 1 and 8 users, and how fast they read a prompt; within a round one follows the other,
    so that noise falls on all."""
    int4 = on_own_thread(lambda: load(folder, precision="int4"))
    speeds: dict[tuple[str, int], list[float]] = {}
    reading_s: dict[str, list[float]] = {}
    with app_server(folder.parent) as ours, llama_cpp_server(slots=max(USERS), threads=threads) as theirs:
        servers = {name: port for name, port in ((SERVER, ours), (LLAMA_CPP, theirs)) if port is not None}
        for port in servers.values():
            _through(port, ["Hello"], 4)  # the first is slower
        for number in range(rounds):
            prompt = chronicle(float32, PROMPT_TOKENS, number)
            for name, loaded in ((INT4, int4), (FLOAT32, float32)):
                engine = Ours(loaded)
                engine.run(["Hello"], 4)
                for users in USERS:
                    speeds.setdefault((name, users), []).append(_alone(engine.run(_prompts(users, number), tokens)))
                reading_s.setdefault(name, []).append(engine.run([prompt], 2)[0].first_token_s)
                engine.close()
            for name, port in servers.items():
                for users in USERS:
                    speeds.setdefault((name, users), []).append(_through(port, _prompts(users, number), tokens))
                reading_s.setdefault(name, []).append(over_http(port, [prompt], 2).answers[0].first_token_s)
    for (name, users), values in speeds.items():
        report.add(f"decode, {users} {'user' if users == 1 else 'users'}", name, statistics.median(values), "tokens/s")
    for name, seconds in reading_s.items():
        report.add(f"first token, {PROMPT_TOKENS} tokens, cold", name, statistics.median(seconds), "s")
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


def _alone(answers: Sequence[Answer]) -> float:
    """Tokens a second of all answers, each from its first token on."""
    return sum((len(answer.tokens) - 1) / (answer.tokens[-1] - answer.tokens[0]) for answer in answers)


def _through(port: int, prompts: Sequence[str], tokens: int) -> float:
    run = over_http(port, prompts, tokens)
    return sum((answer.tokens - 1) / (answer.total_s - answer.first_token_s) for answer in run.answers)
