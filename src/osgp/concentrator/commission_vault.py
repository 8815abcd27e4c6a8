"""A concentrator's keys from a vault or a hardware security module: PSKs, and nothing else."""

from __future__ import annotations

from osgp.concentrator.commission import Grant, NotGranted
from osgp.ports.vault_service import KeyService
from osgp.wire.errors import NoKey

__all__ = ["ServiceKeys"]


class ServiceKeys:
    """A ``KeySource`` over a ``KeyService``: grants the PSK of a device's newest epoch (``spec/osgp-application.md`` 3.1)."""

    def __init__(self, service: KeyService, foreign: frozenset[bytes] = frozenset()) -> None:
        self._service = service
        self.foreign = foreign

    def grant(self, unique_node_id: bytes, concentrator_id: bytes) -> Grant | NotGranted:
        """See ``KeySource``. Raises StoreError when a hardware security module fails."""
        if unique_node_id in self.foreign:
            return NotGranted.FOREIGN
        try:
            epoch = self._service.epoch(unique_node_id)
            psk = self._service.psk(unique_node_id, concentrator_id, epoch)
        except NoKey:
            return NotGranted.NO_KEY
        return Grant(psk, epoch, key=f"UMK of {unique_node_id.hex()}")
