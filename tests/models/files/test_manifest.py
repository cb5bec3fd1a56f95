"""The manifest is written last, and lists whole files alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from qwen_app.models.files.folder import verify_folder
from qwen_app.models.files.manifest import MANIFEST, read_manifest, write_manifest

ROOT = Path(__file__).resolve().parents[3]


def test_a_manifest_is_there_whole_or_not_at_all(folder: Path) -> None:
    """The disk is full when it is written, after everything else."""
    (folder / MANIFEST).unlink()
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from qwen_app.errors import DownloadError\n"
        "from qwen_app.models.files.manifest import write_manifest\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: write_manifest(Path(sys.argv[1]), 'tiny', 'r1')\n"
        "except DownloadError as refused: sys.exit(str(refused))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{MANIFEST}.part" in done.stderr or str(folder) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / MANIFEST).exists()
    write_manifest(folder, "tiny", "r1")
    verify_folder(folder)
    assert not list(folder.glob("*.part"))


def test_what_is_not_whole_is_no_part_of_the_manifest(folder: Path) -> None:
    for name in ("model-00002.safetensors.part", ".lock"):
        (folder / name).write_bytes(b"x")
    write_manifest(folder, "tiny", "r1")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert not [name for name in manifest.files if name.endswith(".part") or name.startswith(".")]
