"""llm, the command line."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import QUESTION, TOKENS, V1, run

home = Path(tempfile.mkdtemp())
model = {"model_id": "ours", "model_name": "default", "api_base": V1, "supports_schema": True, "supports_tools": True}
(home / "extra-openai-models.yaml").write_text(json.dumps([model]), encoding="utf-8")


def ask(*options):
    program = str(Path(sys.executable).with_name("llm"))
    command = [program, "-m", "ours", "--key", "none", "-o", "max_tokens", str(TOKENS)]
    done = subprocess.run(
        [*command, *options, QUESTION], env={**os.environ, "LLM_USER_PATH": str(home)}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    return done.stdout.strip()


run(
    chat=lambda: ask("--no-stream"),
    stream=lambda: ask(),
    schema=lambda: json.loads(ask("--no-stream", "--schema", "city, degrees int"))["city"],
)
