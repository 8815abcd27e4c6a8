"""A concentrator's keys from a vault or a hardware security module: PSKs, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from osgp.concentrator.commission import Grant, KeySource, NotGranted
from osgp.ports.vault_service import KeyService
from osgp.wire.errors import Error, NoKey

__all__ = ["ServiceKeys"]


class ServiceKeys:
    """A ``KeySource`` over a ``KeyService``: grants the PSK of a device's newest epoch (``spec/osgp-application.md`` 3.1).

    Each PSK is asked for once, which the audit trail tells, and again when the device has another epoch. What others change in
    the vault is seen at the next question (a hardware security module is looked at once a minute). If it fails meanwhile, what
    was granted stays granted, nothing new is, and ``trouble`` says why. ``table`` is asked first; ``wall``: UTC seconds.
    """

    def __init__(
        self,
        service: KeyService,
        foreign: frozenset[bytes] = frozenset(),
        *,
        table: KeySource | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self.foreign = foreign
        self.trouble = ""
        self._table = table
        self._wall = wall
        self._given: dict[tuple[bytes, bytes], Grant] = {}
        self._without: set[bytes] = set()

    def __repr__(self) -> str:
        return f"ServiceKeys({len(self._given)} granted)"

    def grant(self, unique_node_id: bytes, concentrator_id: bytes) -> Grant | NotGranted:
        """See ``KeySource``."""
        if unique_node_id in self.foreign:
            return NotGranted.FOREIGN
        listed = self._table.grant(unique_node_id, concentrator_id) if self._table is not None else NotGranted.NO_KEY
        if listed is not NotGranted.NO_KEY:
            return listed
        try:
            self._look()
            known = self._given.get((unique_node_id, concentrator_id))
            if known is not None or unique_node_id in self._without:
                return known or NotGranted.NO_KEY
            psk, epoch = self._service.grant(unique_node_id, concentrator_id, self._wall())
        except NoKey:
            self._without.add(unique_node_id)
            return NotGranted.NO_KEY
        except Error as error:
            self.trouble = f"{error.message} ({error.hint})" if error.hint else error.message
            return self._given.get((unique_node_id, concentrator_id), NotGranted.NO_KEY)
        self.trouble = ""
        found = Grant(psk, epoch, key=f"UMK of {unique_node_id.hex()}")
        self._given[unique_node_id, concentrator_id] = found
        return found

    def _look(self) -> None:
        """Forget what is not so any more, if anything was changed."""
        if not self._service.refresh(self._wall()):
            return
        epochs = self._service.epochs()
        self.trouble = ""
        self._without.clear()
        self._given = {name: grant for name, grant in self._given.items() if epochs.get(name[0]) == grant.epoch}

    def status(self) -> dict[str, Any]:
        """For pages and sockets: how many PSKs were granted, and what is wrong."""
        return {"granted": len(self._given), "trouble": self.trouble}

    def close(self) -> None:
        """Nothing more is granted."""
        self._service.close()
