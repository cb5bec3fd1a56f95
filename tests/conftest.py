"""What many tests share: marks and time limits, built-in model, tiny Qwen2, grammar compilers, asyncio backend."""

from __future__ import annotations

import ast
import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from qwen_app.models.builtin import prepare_builtin
from qwen_app.structured.grammars.compiler import GrammarCompiler
from tests.examples import set_examples
from tests.qwen_vocabulary import END_OF_TEXT, END_OF_TURN, LOGITS_WIDTH, qwen_tokenizer
from tests.tiny_mistral import save_tiny_mistral
from tests.tiny_qwen import save_tiny_qwen

ROOT = Path(__file__).resolve().parent.parent
BROWSER = ROOT / "tests" / "browser"
ATTACKED = (ROOT / "tests" / "attacks", ROOT / "tests" / "faults")
# These need no server: they read the source, and whoever changes that should hear of it at once.
READ_SOURCE = {ATTACKED[0] / "test_backtracking.py", ATTACKED[0] / "test_guards.py", ATTACKED[1] / "test_table.py"}
QUICK_LOOP = "not slow and not browser"
RUNS_THE_BUILT_IN_MODEL = "builtin_engine"  # a fixture; what asks for it is slow
# Half a minute each and more, and late in the alphabet: whoever got one last would keep the other processes waiting.
BEGUN_FIRST = {
    ROOT / "tests" / place
    for place in (
        "faults/test_disk_full.py",
        "faults/test_stuck_process.py",
        "serve/test_server.py",
        "structured/test_with_model.py",
        "test_start_sh.py",
    )
}
MANY_OBJECTS = 100_000  # a tenth of a second to look through
SLOW_LIMIT_S = 300  # for a test marked slow; pyproject.toml has everybody else's

# Nothing in the tests may reach a hub, and no QWEN_ variable of the person running them may change them.
os.environ["HF_HUB_OFFLINE"] = "1"
for _name in [name for name in os.environ if name.upper().startswith("QWEN_")]:
    del os.environ[_name]
# A shell that runs the tests in the background lets them ignore Ctrl+C, and the apps they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    set_examples(quick=config.option.markexpr == QUICK_LOOP)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The quick loop does not even import what it leaves out as a whole: that would take as long as many tests."""
    if config.option.markexpr != QUICK_LOOP:
        return None
    if collection_path == BROWSER or _is_attack(collection_path) or _is_slow_as_a_whole(collection_path):
        return True
    return None  # pytest's own rules say


def _is_attack(path: Path) -> bool:
    """A file whose tests start a real server each, and have somebody who must not notice."""
    return path.parent in ATTACKED and path.name.startswith("test_") and path not in READ_SOURCE


def _is_slow_as_a_whole(path: Path) -> bool:
    if path.suffix != ".py" or "\npytestmark = " not in (text := path.read_text()):
        return False
    marks = [line.value for line in ast.parse(text).body if isinstance(line, ast.Assign) and _sets_marks(line)]
    return any("pytest.mark.slow" in ast.unparse(value) for value in marks)


def _sets_marks(line: ast.Assign) -> bool:
    return ast.unparse(line.targets[0]) == "pytestmark"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays. It is not searched for garbage while it comes, nor in all the searches of the tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path not in BEGUN_FIRST)
    for item in items:
        if BROWSER in item.path.parents:
            item.add_marker(pytest.mark.browser)
        if _is_attack(item.path):
            item.add_marker(pytest.mark.slow)
        if RUNS_THE_BUILT_IN_MODEL in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        patient = item.get_closest_marker("slow") or item.get_closest_marker("browser")
        if patient and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_LIMIT_S))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs an NVIDIA GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None, item: pytest.Item) -> Generator[None, object, object]:
    """What is still there after a file stays, once it is much: Gradio, models and clients make a million objects, and a
    look through them all for garbage takes a second. Tests that run out of memory look for it every time.
    """
    try:
        return (yield)
    finally:
        if (nextitem is None or nextitem.path != item.path) and len(gc.get_objects()) > MANY_OBJECTS:
            gc.collect()
            gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def builtin_dir() -> Path:
    """The built-in model's folder, prepared once in the repository's models/."""
    return prepare_builtin(ROOT / "models")


@pytest.fixture(scope="session")
def tiny_qwen_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved two-layer Qwen2 of random weights, with a byte-level tokenizer and Qwen's special tokens."""
    return save_tiny_qwen(tmp_path_factory.mktemp("tiny-qwen"))


@pytest.fixture(scope="session")
def tiny_mistral_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved two-layer Mistral of random weights, with a vocabulary as SentencePiece writes it."""
    return save_tiny_mistral(tmp_path_factory.mktemp("tiny-mistral"))


@pytest.fixture(scope="session")
def qwen() -> GrammarCompiler:
    """Grammars over Qwen2.5's own vocabulary."""
    return GrammarCompiler(qwen_tokenizer(), vocab_size=LOGITS_WIDTH, eos_ids=[END_OF_TURN, END_OF_TEXT])


@pytest.fixture(scope="session")
def builtin(builtin_dir: Path) -> GrammarCompiler:
    """Grammars over a tokenizer whose tool tags are ordinary text and whose vocabulary lacks some bytes."""
    tokenizer = Tokenizer.from_file(str(builtin_dir / "tokenizer.json"))
    return GrammarCompiler(tokenizer, vocab_size=49_152, eos_ids=[2, 0])
