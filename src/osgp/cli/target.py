"""Options that every command with a device shares: its address, key and door, opened in one place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from osgp.cli.output import stderr
from osgp.node.device import Device
from osgp.ports.opening import OpenOptions, connect
from osgp.tables.registry import load_directory
from osgp.wire.errors import Error

__all__ = ["ANYWHERE", "Target", "with_device"]

T = TypeVar("T")


@Parameter(name="*")
@dataclass(frozen=True)
class Target:
    """How to reach the device."""

    key: Annotated[
        str | None,
        Parameter(
            help="where the key is: vault:NAME/KIND, file:PATH, env:VAR or prompt: (a key itself works, with a warning)"
        ),
    ] = None
    key_kind: Annotated[str, Parameter(help="MAK or MBK at the MEP (default MAK)")] = ""
    legacy: Annotated[bool, Parameter(help="allow the old RC4 mode of the MEP, which is published as broken")] = False
    insecure_lab: Annotated[bool, Parameter(help="accept known default keys")] = False
    trace: Annotated[
        Path | None, Parameter(help="write all bytes on the line to this file (JSON lines, keys removed)")
    ] = None
    tables: Annotated[Path | None, Parameter(help="directory of further table declarations (Python files)")] = None
    verbose: Annotated[bool, Parameter(help="tell on stderr what happens on the line")] = False

    def options(self) -> OpenOptions:
        """For ``osgp.ports.opening.connect``."""
        options = OpenOptions(key=self.key, key_kind=self.key_kind, legacy=self.legacy, insecure_lab=self.insecure_lab)
        if self.verbose:
            logging.basicConfig(level=logging.INFO, format="%(message)s")
            options.on_event = lambda event: stderr.print(f"  {event!r}", markup=False, style="dim")
        return options


ANYWHERE = Target()
"""No options given."""


def with_device(address: str, target: Target, work: Callable[[Device], Awaitable[T]]) -> T:
    """Open the device, do the work, close it. Our errors pass through."""
    if target.tables is not None:
        load_directory(target.tables)

    async def session() -> T:
        options = target.options()
        recorder: Any = None
        if target.trace is not None:
            from osgp.ports.tracing import TraceFile

            recorder = TraceFile(target.trace, address)
            options.tap = recorder.tap
        try:
            device = await connect(address, options, blocking=False)
            try:
                return await work(device)
            finally:
                await device.close()
        except Error as error:
            if recorder is not None and not error.hint:
                error.hint = f"the bytes are in {target.trace}"
            raise
        finally:
            if recorder is not None:
                recorder.close()

    return asyncio.run(session())
