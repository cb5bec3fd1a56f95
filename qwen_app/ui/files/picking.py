"""How files get here: picked or dropped in the browser, sent one by one, and what became of each told in one text."""

from __future__ import annotations

import json
from dataclasses import dataclass

LIMIT_OUTCOME_CHARACTERS = 20_000
MOST_PICKED = 8  # read one after the other, and the page waits for them

# A file never passes through Gradio, which would make a file of it here.
PICK_FILES = """async (...values) => {
  const given = window.filesGiven; // dropped: see attach.js
  window.filesGiven = null;
  const files = given ?? (await pickFiles({ multiple: true }));
  const outcomes = [];
  for (const file of files.slice(0, MOST)) outcomes.push(await sendDocument(file));
  const count = files.length - MOST;
  if (count > 0) outcomes.push({ reason: "left_out", values: { count: String(count), limit: "MOST" } });
  return [JSON.stringify(outcomes), ...values.slice(1)];
}""".replace("MOST", str(MOST_PICKED))


@dataclass(frozen=True, slots=True)
class PickedFile:
    """A file that was sent: the ``id`` of its text, or why there is none."""

    id: str
    reason: str = ""
    values: tuple[tuple[str, str], ...] = ()
    detail: str = ""


def picked_files(outcome: str) -> list[PickedFile]:
    """What PICK_FILES hands on; whatever else a browser sent is left out."""
    try:
        told = json.loads(outcome[:LIMIT_OUTCOME_CHARACTERS])
    except (ValueError, RecursionError):
        return []
    return [_picked(one) for one in told[: MOST_PICKED + 1] if isinstance(one, dict)] if isinstance(told, list) else []


def _picked(one: dict[str, object]) -> PickedFile:
    pairs = one.get("values")
    values = tuple((str(name), str(value)) for name, value in pairs.items()) if isinstance(pairs, dict) else ()
    return PickedFile(str(one.get("id") or ""), str(one.get("reason") or ""), values, str(one.get("detail") or ""))
