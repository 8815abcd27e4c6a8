"""The ``osgp`` command. One file for each command; each is loaded when it is asked for."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the ``osgp`` script. Exit status: 0 success, 1 refused, 2 wrong use, 3 nobody answered."""
    try:
        from osgp.cli.app import run
    except ImportError as error:
        missing = error.name or ""
        if missing.split(".")[0] == "osgp":
            raise
        sys.stderr.write(f"error: the osgp command needs the package {missing}\n  hint: pip install 'osgp[cli]'\n")
        raise SystemExit(2) from error
    run(arguments)
