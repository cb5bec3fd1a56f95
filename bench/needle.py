"""What a model finds in a long text: facts at several depths of texts of several lengths, asked for one by one.

    python -m bench.needle [--url URL] [--key KEY] [--model NAME] [--lengths 1000,4000,16000] [--depths 0,25,50,75,100]
                           [--repeats N] [--out DIR]

``--url`` is any OpenAI-compatible server, by default this app's: whatever model it has loaded. Lengths are tokens,
counted by the server itself. Writes a table to the screen, and needle.json, needle.md and needle.svg to ``--out``.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from bench.needle_plot import needle_svg
from bench.report import machine_line

DEPTHS = (0, 25, 50, 75, 100)
PLACES = ("Arles", "Bergen", "Cusco", "Dakar", "Esbjerg", "Fes", "Gdansk", "Hobart", "Izmir", "Jaipur")
HAY = (
    "The harbour was quiet when the first boats came in.",
    "Nobody in the office remembered who had ordered the blue chairs.",
    "A train left the station seven minutes late, as it did most mornings.",
    "The gardener kept a list of every tree he had planted.",
    "Rain was expected in the north, and a light wind along the coast.",
    "She read the letter twice before she put it back into its envelope.",
    "The committee met on the second floor and agreed on very little.",
    "Old maps showed a road where there was nothing now but grass.",
    "He counted the steps to the lighthouse and came to a different number each time.",
    "The bakery on the corner sold out of rye bread before nine.",
)
ANSWER_TOKENS = 24
TIMEOUT_S = 1800.0
Ask = Callable[[str], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Find:
    """One fact: ``tokens`` is how long the whole prompt was, ``depth`` where the fact stood, in percent of the text."""

    length: int
    depth: int
    tokens: int
    found: bool
    answer: str


def main() -> None:
    options = _options()
    ask = asking(options.url, options.key, options.model)
    finds = measure(ask, options.lengths, options.depths, options.repeats)
    title = f"Facts found, {options.model or options.url}"
    options.out.mkdir(parents=True, exist_ok=True)
    told = {"name": title, "machine": machine_line(), "finds": [asdict(find) for find in finds]}
    (options.out / "needle.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (options.out / "needle.md").write_text(f"# {title}\n\n{machine_line()}\n\n{table(finds)}\n", encoding="utf-8")
    (options.out / "needle.svg").write_text(needle_svg(title, shares(finds)), encoding="utf-8")
    sys.stdout.write(table(finds) + "\n")


def _options() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description="Facts at depths of a long text, and which are found.")
    parser.add_argument("--url", default="http://127.0.0.1:7860/v1")
    parser.add_argument("--key", default="none", help="an API key, where the server asks for one")
    parser.add_argument("--model", default="", help="as the server names it; its first by default")
    parser.add_argument("--lengths", type=numbers, default=[1_000, 4_000, 16_000])
    parser.add_argument("--depths", type=numbers, default=list(DEPTHS))
    parser.add_argument("--repeats", type=int, default=1, help="facts for each length and depth")
    parser.add_argument("--out", type=Path, default=Path("bench/results/needle"))
    return parser.parse_args()


def asking(url: str, key: str, model: str) -> Ask:
    """A function of a question that gives the answer, and the prompt's tokens as the server counted them."""
    client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=TIMEOUT_S)
    name = model or client.get("/models").raise_for_status().json()["data"][0]["id"]

    def ask(question: str) -> tuple[str, int]:
        messages = [{"role": "user", "content": question}]
        body = {"model": name, "messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0}
        answer = client.post("/chat/completions", json=body).raise_for_status().json()
        return str(answer["choices"][0]["message"]["content"] or ""), int(answer["usage"]["prompt_tokens"])

    return ask


def measure(ask: Ask, lengths: Sequence[int], depths: Sequence[int], repeats: int = 1) -> list[Find]:
    """Every length with every depth, ``repeats`` facts each. A length that the server refuses is left out, and said."""
    sentence_tokens = (ask(hay(random.Random(0), 200))[1] - ask("")[1]) / 200
    finds: list[Find] = []
    for length in lengths:
        sentences = max(1, int((length - 60) / sentence_tokens))
        for depth in depths:
            for number in range(repeats):
                try:
                    finds.append(_one(ask, length, depth, sentences, number))
                except httpx.HTTPStatusError as refused:
                    sys.stderr.write(f"  {length} tokens were refused: {refused.response.text[:200]}\n")
                    break
    return finds


def _one(ask: Ask, length: int, depth: int, sentences: int, number: int) -> Find:
    chosen = random.Random(f"{length} {depth} {number}")
    place, secret = chosen.choice(PLACES), str(chosen.randrange(1000, 9999))
    before = sentences * depth // 100
    text = f"{hay(chosen, before)} The secret number of {place} is {secret}. {hay(chosen, sentences - before)}"
    answer, tokens = ask(f"{text.strip()}\n\nWhat is the secret number of {place}? Answer with the number alone.")
    find = Find(length, depth, tokens, secret in re.findall(r"\d+", answer), answer.strip()[:80])
    sys.stderr.write(f"  {tokens:>8,} tokens, depth {depth:>3} %: {'found' if find.found else find.answer!r}\n")
    return find


def hay(chosen: random.Random, sentences: int) -> str:
    """So many sentences that say nothing of what is asked for."""
    return " ".join(chosen.choice(HAY) for _ in range(sentences))


def shares(finds: Sequence[Find]) -> dict[tuple[int, int], float]:
    """The share of facts found, from 0 to 1, by length and depth."""
    places = dict.fromkeys((find.length, find.depth) for find in finds)
    return {
        place: sum(f.found for f in finds if (f.length, f.depth) == place)
        / sum((f.length, f.depth) == place for f in finds)
        for place in places
    }


def table(finds: Sequence[Find]) -> str:
    """A row a depth, a column a length, as Markdown."""
    found = shares(finds)
    lengths, depths = (sorted({place[index] for place in found}) for index in (0, 1))
    lines = [
        "| depth | " + " | ".join(f"{length:,} tokens" for length in lengths) + " |",
        "|---" * (len(lengths) + 1) + "|",
    ]
    for depth in depths:
        cells = [f"{100 * found[length, depth]:.0f} %" if (length, depth) in found else "" for length in lengths]
        lines.append(f"| {depth} % | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
