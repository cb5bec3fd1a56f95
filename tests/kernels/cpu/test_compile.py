"""Sources are compiled once, whole at every moment; where they are not, a sentence says why."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.kernels.cpu import compile
from qwen_app.kernels.cpu.compile import NotCompiled, compiled
from tests.kernels.compiler import needs_a_compiler

SEVEN = 'extern "C" int number() { return 7; }\n'


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    compile._machine.cache_clear()
    yield
    compile._machine.cache_clear()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kept"
    monkeypatch.setattr(compile, "KEPT", folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    written = tmp_path / "sources/seven.cpp"
    written.parent.mkdir()
    written.write_text(SEVEN, encoding="utf-8")
    return written


@needs_a_compiler
def test_a_source_is_compiled_once(kept: Path, source: Path) -> None:
    assert compiled(source).number() == 7
    (made,) = kept.iterdir()
    before_ns = made.stat().st_mtime_ns
    assert compiled(source).number() == 7
    assert [path.stat().st_mtime_ns for path in kept.iterdir()] == [before_ns]


@needs_a_compiler
def test_what_is_changed_is_compiled_anew(kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled(source).number() == 7
    source.write_text(SEVEN.replace("7", "8"), encoding="utf-8")
    assert compiled(source).number() == 8
    monkeypatch.setattr(compile, "FLAGS", (*compile.FLAGS, "-DANOTHER"))
    assert compiled(source).number() == 8
    source.with_name("header.hpp").write_text("// what it may include", encoding="utf-8")
    assert compiled(source).number() == 8
    assert len(list(kept.iterdir())) == 4


@needs_a_compiler
def test_nothing_is_written_to_the_folder_of_temporary_files(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "full"))
    (tmp_path / "full").mkdir()
    told = subprocess.run(
        (compile.COMPILER, *compile.FLAGS, "-###", "-c", source, "-o", tmp_path / "half.o"),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert str(source) in told
    assert str(tmp_path / "full") not in told


@needs_a_compiler
def test_what_the_compiler_knows_is_asked_where_no_file_can_be_written() -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        known = compile._machine()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "-march=" in known


@needs_a_compiler
@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_an_installation_that_cannot_be_written_serves_too(
    kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    make = Path.mkdir

    def refuse(folder: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if folder == kept:
            raise OSError(error, os.strerror(error), str(folder))
        make(folder, mode, parents, exist_ok)

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert compiled(source).number() == 7
    assert not kept.exists()


@needs_a_compiler
def test_what_does_not_compile_is_told(kept: Path, source: Path) -> None:
    source.write_text("this is no C++", encoding="utf-8")
    with pytest.raises(NotCompiled, match=r"^g\+\+ failed: .*error"):
        compiled(source)
    assert list(kept.iterdir()) == []


@needs_a_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names parts of x86 processors")
@pytest.mark.parametrize("without", [(), ("-mno-avx512f",), ("-mno-avx2",)])
def test_our_kernels_compile_for_every_processor(
    kept: Path, monkeypatch: pytest.MonkeyPatch, without: tuple[str, ...]
) -> None:
    monkeypatch.setattr(compile, "FLAGS", (*compile.FLAGS, *without))
    library = compiled(compile.SOURCE)
    library.qwen_products_serve.restype = ctypes.c_bool
    if "-mno-avx2" in without:
        assert not library.qwen_products_serve()


@needs_a_compiler
def test_torchs_threads_are_ours(kept: Path, source: Path) -> None:
    source.write_text(
        '#include <omp.h>\nextern "C" void* pool() { return reinterpret_cast<void*>(&omp_get_max_threads); }\n',
        encoding="utf-8",
    )
    compiled(source).pool()
    maps = Path("/proc/self/maps")
    if maps.exists():
        lines = maps.read_text(encoding="utf-8").splitlines()
        assert len({line.split()[-1] for line in lines if "libgomp" in line}) == 1


def test_without_a_compiler_that_is_told(kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile, "COMPILER", "no-such-compiler")
    with pytest.raises(NotCompiled, match=r"^no-such-compiler is not installed$"):
        compiled(source)


def test_a_compiler_that_hangs_is_given_up(
    kept: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "hanging"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    os.chmod(hanging, stat.S_IRWXU)
    monkeypatch.setattr(compile, "COMPILER", str(hanging))
    monkeypatch.setattr(compile, "TIMEOUT_S", 0.2)
    with pytest.raises(NotCompiled, match="took longer than 0 s"):
        compiled(source)
