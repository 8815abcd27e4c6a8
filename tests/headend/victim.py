"""A collector in a process of its own, to be killed: ``python -m tests.headend.victim CONFIG``.

Everything is imported once; then, for each line on stdin, a child does one round and this process says on stdout how it ended.
A line is a number of seconds after which the child is killed with SIGKILL, or ``whole`` to let it finish.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from pathlib import Path

from osgp.headend.collect import Collector
from osgp.headend.config import load_config
from osgp.headend.store import Store


def round_of(config: Path) -> int:
    """One round over all devices. Returns the number of errors."""
    wanted = load_config(config)
    with Store.open(wanted.store) as store:
        return asyncio.run(Collector(wanted, store).run_once()).errors


def main() -> None:
    """See the module."""
    config = Path(sys.argv[1])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = round_of(config)
            finally:
                os._exit(code)
        if line.strip() != "whole":
            watched = os.pidfd_open(child)
            select.select([watched], [], [], float(line))
            os.close(watched)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
