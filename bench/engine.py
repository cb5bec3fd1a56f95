"""The engine beside what a Gradio demo would otherwise be built on, in one run, in turn.

    python -m bench.engine [--quick] [--json FILE] [--json-mode] [--switches] [--model DIR] [--threads N] [--rounds N]

Rows: decode speed at 1, 2, 4 and 8 users; cold and warm time to first token; the gaps of running answers while a long
prompt is read; how fast a cancelled answer stops; int4 beside float32, llama.cpp and the server. Every figure is the
median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import logging
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import truediv
from pathlib import Path
from typing import NamedTuple

from bench.contenders import (
    STORY,
    Answer,
    Contender,
    ContinuousBatching,
    GenerateThreads,
    Ours,
    chronicle,
    forward_loop_speed,
    load_builtin,
    on_own_thread,
    total_speed,
)
from bench.int4 import int4_beside_others
from bench.report import Report, benchmark_parser, percentile
from qwen_app.messages import Delta, GenerationRequest, GrammarSpec, JsonSchema, Message, SamplingParams
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.loading.loader import load
from qwen_app.switches import Switches
from qwen_app.ui.json_lab.schema_library import CONTACT, MINUTES, PRODUCT

EXTRACTIONS = (CONTACT, PRODUCT, MINUTES)


def main() -> None:
    options = _options()
    logging.disable(logging.WARNING)
    loaded = load_builtin(options.model, options.threads)
    # The engine changes how its model computes, and others have a copy that it does not.
    theirs = replace(loaded, model=on_own_thread(lambda: copy.deepcopy(loaded.model)))
    report = Report("Engine, built-in model in float32")
    if options.json_mode:
        json_mode(report, in_int4(options.model), rounds=2 if options.quick else 5)
    elif options.quick:
        one_user(report, loaded, theirs, turns=3, tokens=10)
        decode(report, loaded, theirs, users=(8,), rounds=1, tokens=14)
        first_token(report, loaded, lengths=(1500,), rounds=1)
        int4 = in_int4(options.model)
        disturbed(report, int4, rounds=1)
        json_mode(report, int4, rounds=1)
        int4_beside_others(
            *(report, loaded, int4, options.model), threads=options.threads, rounds=1, tokens=32, prompt_tokens=600
        )
    elif options.switches:
        switches(report, options.model, rounds=options.rounds)
    else:
        one_user(report, loaded, theirs, turns=24)
        decode(report, loaded, theirs, users=(1, 2, 4, 8), rounds=options.rounds, tokens=48)
        first_token(report, loaded, lengths=(500, 1500), rounds=options.rounds)
        int4 = in_int4(options.model)
        disturbed(report, int4, rounds=options.rounds)
        cancel_latency(report, int4)
        int4_beside_others(
            *(report, loaded, int4, options.model),
            threads=options.threads,
            rounds=options.rounds,
            tokens=48,
            prompt_tokens=1000,
        )
    report.finish(options.json)


def _options() -> argparse.Namespace:
    parser = benchmark_parser(
        "The engine against what a demo would otherwise use.", quick="in a minute or two: fewer users, fewer rounds"
    )
    parser.add_argument("--json-mode", action="store_true", help="what grammars and drafts cost and bring instead")
    parser.add_argument("--switches", action="store_true", help="what each optimisation brings instead")
    parser.add_argument("--model", type=Path, default=Path("models/builtin"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def one_user(report: Report, loaded: LoadedModel, theirs: LoadedModel, *, turns: int, tokens: int = 16) -> None:
    """One user beside the bare forward loop, in short turns: what else the machine does falls on both alike.

    Each turn of ours is held against the mean of the loop's turns before and after it.
    """
    own, bare = [], [forward_loop_speed(theirs, tokens=tokens)]
    for number in range(turns):
        ours = Ours(loaded, slots=1, context_tokens=256)
        own.append(total_speed(ours.run([STORY.format(number)], tokens + 1)))
        ours.close()
        bare.append(forward_loop_speed(theirs, tokens=tokens))
    report.add("decode, 1 user, in turns", "forward loop", statistics.median(bare), "tokens/s")
    report.add("decode, 1 user, in turns", Ours.name, statistics.median(own), "tokens/s")
    around = [(before + after) / 2 for before, after in pairwise(bare)]
    report.ratio("one_user_vs_forward_loop", statistics.median(map(truediv, own, around)), 1.0)


def decode(
    report: Report, loaded: LoadedModel, theirs: LoadedModel, *, users: Sequence[int], rounds: int, tokens: int
) -> None:
    """Decode speed of all contenders; within a round one follows the other, so that noise falls on all of them.

    ``generate`` takes part in the first round alone: it is so far behind that more would only cost time.
    """
    contenders: dict[str, Callable[[], Contender]] = {
        Ours.name: lambda: Ours(loaded),
        ContinuousBatching.name: lambda: ContinuousBatching(theirs),
        GenerateThreads.name: lambda: GenerateThreads(theirs),
    }
    speeds: dict[tuple[str, int], list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for number in range(rounds):
        round_speeds: dict[tuple[str, int], float] = {}
        for name, make in contenders.items():
            if name == GenerateThreads.name and number > 0:
                continue
            contender = make()
            contender.run(["Hello"], 4)
            for count in users if name != Ours.name else sorted({1, *users}):
                prompts = [STORY.format(user) for user in range(count)]
                few = tokens // 3 if name == GenerateThreads.name and count > 1 else tokens
                round_speeds[name, count] = total_speed(contender.run(prompts, few))
            contender.close()
        for key, speed in round_speeds.items():
            speeds.setdefault(key, []).append(speed)
        for ratio, (above, below) in _decode_ratios(max(users)).items():
            if below in round_speeds:
                ratios.setdefault(ratio, []).append(round_speeds[above] / round_speeds[below])
    for (name, count), values in sorted(speeds.items(), key=lambda item: (item[0][1], item[0][0])):
        report.add(f"decode, {count} {'user' if count == 1 else 'users'}", name, statistics.median(values), "tokens/s")
    for ratio, values in ratios.items():
        report.ratio(ratio, statistics.median(values), 1.0)


def _decode_ratios(most: int) -> dict[str, tuple[tuple[str, int], tuple[str, int]]]:
    return {
        "eight_vs_one": ((Ours.name, most), (Ours.name, 1)),
        "eight_vs_continuous_batching": ((Ours.name, most), (ContinuousBatching.name, most)),
        "eight_vs_generate_threads": ((Ours.name, most), (GenerateThreads.name, most)),
    }


def first_token(report: Report, loaded: LoadedModel, *, lengths: Sequence[int], rounds: int) -> None:
    """Time to first token of a chat with so many tokens of history: cold, then on the next turn."""
    for length in lengths:
        cold, warm = [], []
        for number in range(rounds):
            ours = Ours(loaded, slots=2)
            cold_s, warm_s = ours.on_loop(_two_turns(ours, chronicle(loaded, length, number)))
            cold.append(cold_s)
            warm.append(warm_s)
            ours.close()
        report.add(f"first token, {length} tokens, cold", Ours.name, statistics.median(cold), "s")
        report.add(f"first token, {length} tokens, turn two", Ours.name, statistics.median(warm), "s")
        report.ratio("warm_vs_cold_first_token", statistics.median(warm), statistics.median(cold))


async def _two_turns(ours: Ours, history: str) -> tuple[float, float]:
    messages = [Message("user", history)]
    cold_s, answer = await _first_token_s(ours, messages)
    messages += [Message("assistant", answer), Message("user", "Thank you. Which word came first?")]
    warm_s, _ = await _first_token_s(ours, messages)
    return cold_s, warm_s


async def _first_token_s(ours: Ours, messages: Sequence[Message]) -> tuple[float, str]:
    request = GenerationRequest("bench", tuple(messages), sampling=SamplingParams(temperature=0, max_tokens=16))
    submitted, first, text = time.perf_counter(), 0.0, ""
    async for event in ours.engine.generate(request):
        if isinstance(event, Delta):
            first = first or time.perf_counter()
            text += event.text
    return first - submitted, text


def disturbed(report: Report, loaded: LoadedModel, *, rounds: int) -> None:
    """The 95th percentile gap between tokens of three running answers, alone and while 1,500 tokens are read."""
    alone, beside, first = [], [], []
    for number in range(rounds):
        ours = Ours(loaded, slots=4)
        undisturbed_s, disturbed_s, first_s = ours.on_loop(_three_and_a_prompt(ours, chronicle(loaded, 1500, number)))
        first.append(first_s)
        alone.append(percentile(undisturbed_s, 95))
        beside.append(percentile(disturbed_s, 95))
        ours.close()
    report.add("gap p95, 3 users alone", loaded.precision, statistics.median(alone) * 1000, "ms")
    report.add("gap p95, 3 users and a prompt", loaded.precision, statistics.median(beside) * 1000, "ms")
    report.add("first token of that prompt", loaded.precision, statistics.median(first), "s")
    # A machine too busy to give two tokens before the prompt comes has no undisturbed gap: 0.0, as Report.ratio has it.
    ratios = [with_prompt / without if without else 0.0 for with_prompt, without in zip(beside, alone, strict=True)]
    report.ratio("disturbed_vs_undisturbed_gap", statistics.median(ratios), 1.0)


async def _three_and_a_prompt(ours: Ours, prompt: str) -> tuple[list[float], list[float], float]:
    """Gaps before the prompt came, gaps while it was read, and how long that took, in seconds."""
    read_all = asyncio.Event()
    running = [
        asyncio.create_task(ours.ask(STORY.format(number), 1000, user=f"user {number}", until=read_all))
        for number in range(3)
    ]
    await asyncio.sleep(2)
    disturber = await ours.ask(prompt, 1, user="disturber")
    read_all.set()
    answers = await asyncio.gather(*running)
    read = (disturber.submitted, disturber.tokens[0])
    undisturbed_s = [gap for answer in answers for gap in _gaps(answer, max(a.tokens[0] for a in answers), read[0])]
    disturbed_s = [gap for answer in answers for gap in _gaps(answer, *read)]
    return undisturbed_s, disturbed_s, disturber.first_token_s


def _gaps(answer: Answer, start: float, end: float) -> list[float]:
    """Gaps that ended between the two times."""
    return [gap for gap, at in zip(answer.gaps_s, answer.tokens[1:], strict=True) if start < at <= end]


def cancel_latency(report: Report, loaded: LoadedModel) -> None:
    """From closing a stream until the engine is idle."""
    ours = Ours(loaded, slots=1)
    times = [ours.on_loop(_cancel_s(ours)) for _ in range(5)]
    report.add("cancel", loaded.precision, statistics.median(times) * 1000, "ms")
    ours.close()


async def _cancel_s(ours: Ours) -> float:
    request = GenerationRequest("bench", (Message("user", STORY.format(1)),), sampling=SamplingParams(max_tokens=500))
    events = ours.engine.generate(request)
    async for event in events:
        if isinstance(event, Delta):
            break
    closed = time.perf_counter()
    await events.aclose()
    while ours.engine.health().running:  # noqa: ASYNC110 (the worker is a thread)
        await asyncio.sleep(0.001)
    return time.perf_counter() - closed


def in_int4(folder: Path) -> LoadedModel:
    """The model as a server has it on a CPU."""
    return on_own_thread(lambda: load(folder, precision="int4"))


def json_mode(report: Report, loaded: LoadedModel, *, rounds: int, at_most: int | None = None) -> None:
    """Documents held to a schema beside prose, and summaries that quote with drafts and without; ``at_most`` so many
    turns of each.

    In short turns, but one engine after the other: two at once would share the processor's threads badly.
    """
    speeds: dict[str, list[float]] = {"prose": [], "extraction": [], "quoting": [], "quoting, no drafts": []}
    text = chronicle(loaded, 1000, 0)
    quoting = [
        f"{text}\n\nRepeat the first sentences of the text word by word. Chapter {n}." for n in range(3)[:at_most]
    ]
    turns, plain_turns = list[_Asked](), [_Asked("quoting, no drafts", prompt) for prompt in quoting]
    for number, example in enumerate([*EXTRACTIONS, *EXTRACTIONS][:at_most]):
        turns.append(_Asked("prose", STORY.format(number)))
        turns.append(_Asked("extraction", example.prompt_in("en"), 96, JsonSchema(example.schema)))
    turns += [_Asked("quoting", prompt) for prompt in quoting]
    for _ in range(rounds):
        _add_speeds(speeds, Ours(loaded), turns)
        _add_speeds(speeds, Ours(loaded, without=["drafts"]), plain_turns)
    for name, values in speeds.items():
        report.add(f"decode, 1 user, {name}", loaded.precision, statistics.median(values), "tokens/s")
    report.ratio_of("json_vs_prose", speeds["extraction"], speeds["prose"])
    report.ratio_of("drafts_vs_none_quoting", speeds["quoting"], speeds["quoting, no drafts"])


class _Asked(NamedTuple):
    name: str
    prompt: str
    tokens: int = 64
    grammar: GrammarSpec | None = None


def _add_speeds(speeds: dict[str, list[float]], engine: Ours, turns: Iterable[_Asked]) -> None:
    engine.run([CONTACT.prompt_in("en")], 48, grammar=JsonSchema(CONTACT.schema))  # the first is slower
    for one in turns:
        answers = engine.run([one.prompt], one.tokens, grammar=one.grammar)
        speeds[one.name].append(total_speed(answers))
    engine.close()


def switches(report: Report, folder: Path, *, rounds: int) -> None:
    """Decode speed at 1 and 8 users without one optimisation after the other, each beside all of them, in turn.

    Loaded anew for each, as some change its layers for good.
    """
    report.name = "What each optimisation brings, built-in model in int4"
    for name in Switches.names():
        speeds: dict[tuple[bool, int], list[float]] = {}
        for _ in range(rounds):
            for on in (True, False):
                loaded = in_int4(folder)
                engine = Ours(loaded, without=() if on else [name])
                engine.run(["Hello"], 4)
                for users in (1, 8):
                    prompts = [STORY.format(user) for user in range(users)]
                    speeds.setdefault((on, users), []).append(total_speed(engine.run(prompts, 64)))
                engine.close()
        for users in (1, 8):
            report.ratio_of(f"{name}_{users}_users", speeds[True, users], speeds[False, users])


if __name__ == "__main__":
    main()
