"""One target under coverage-guided fuzzing: ``python -m tests.fuzz.atheris_targets TARGET SECONDS [FOLDER]``.

With atheris where it is installed (the extra ``dev`` on Linux); else our own mutations, and it says so. Ends with
status 0 after that time without a finding; a finding is printed with its bytes and leaves another status. FOLDER keeps the
corpus between runs and takes the bytes of a finding.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]

_ONE_INPUT_S = 60
_MEMORY_MB = 2048


def _with_atheris(name: str, seconds: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["osgp"]):
        from tests.fuzz.targets import SEEDS, TARGETS

    for seed in SEEDS[name]():
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-timeout={_ONE_INPUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        "-max_len=2048",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        str(folder),
    ]
    atheris.Setup(options, TARGETS[name])
    atheris.Fuzz()


def _without(name: str, seconds: int) -> None:
    from tests.fuzz.mutate import run
    from tests.fuzz.targets import SEEDS, TARGETS

    print(
        f"atheris is not installed for Python {sys.version_info.major}.{sys.version_info.minor}: own mutations instead"
    )
    print(f"{name}: {run(TARGETS[name], SEEDS[name](), seconds)} inputs, no finding")


def main(arguments: list[str]) -> None:
    """See the module."""
    name, seconds = arguments[0], int(arguments[1])
    folder = Path(arguments[2]) if len(arguments) > 2 else Path(tempfile.mkdtemp(prefix="osgp-fuzz-"))
    try:
        import atheris  # noqa: F401  # only whether it is there
    except ImportError:
        _without(name, seconds)
    else:
        _with_atheris(name, seconds, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
