"""``make test-long``: every decoder and both servers, ten minutes each (OSGP_FUZZ_SECONDS), without a finding."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.mutate import run
from tests.fuzz.targets import SEEDS, TARGETS

SECONDS = int(os.environ.get("OSGP_FUZZ_SECONDS") or "600")


def _fuzz(repository: Path, folder: Path, name: str, seconds: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.atheris_targets", name, str(seconds), str(folder)],
        cwd=repository,
        capture_output=True,
        text=True,
        errors="replace",
    )


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_no_finding(repository: Path, tmp_path: Path, name: str) -> None:
    done = _fuzz(repository, tmp_path, name, SECONDS)
    said = (done.stdout + done.stderr)[-6000:]
    found = [f"{path.name}: {path.read_bytes().hex()}" for path in tmp_path.glob("*-*")]
    assert done.returncode == 0, f"{said}\n{found}"
    assert re.search(r"number_of_executed_units|no finding", said), said


@pytest.mark.long
def test_the_runner_works(repository: Path, tmp_path: Path) -> None:
    """One second of the real thing; that it starts takes twenty."""
    assert _fuzz(repository, tmp_path, "paths", 1).returncode == 0


def test_a_finding_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Our own fuzzer on a target with a hole in it."""

    def with_a_hole(data: bytes) -> None:
        if data.startswith(b"\xff"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(with_a_hole, [b"\x7f\x00"], 60.0)
    assert "finding: ff" in capsys.readouterr().out
    assert run(TARGETS["services"], SEEDS["services"](), 0.05) > 0
