"""Network management of a device on the power line: it answers questions, and nobody changes it that way.

ISO/IEC 14908-1 management is not authenticated here, so that everything it could change goes through the secured messages of OSGP
instead (``spec/osgp-application.md`` section 5; which commands stay is a project choice): what a node is, how it counts and how it
heard a message. Commissioning is OSGP's own handshake, so that an unconfigured device does not obey either. Questions are answered
a few times a second at most.
"""

from __future__ import annotations

from osgp.lon.apdu import failure_code
from osgp.lon.configuration import Configuration
from osgp.lon.indication import NULL, SILENT, Indication, Outcome
from osgp.lon.management import Management
from osgp.lon.nd import PhaseResponse
from osgp.node.link_register import Heard, registers_of

__all__ = ["GuardedManagement"]

_STATUS, _TRANSCEIVER, _STATUS_FLEX, _BOTH_WAYS, _PHASE, _VERSION = 0x51, 0x54, 0x56, 0x57, 0x58, 0x59
_QUERY_ID, _QUERY_ADDRESS, _QUERY_DOMAIN = 0x61, 0x67, 0x6A
ANSWERED = frozenset(
    (
        _STATUS,
        _TRANSCEIVER,
        _STATUS_FLEX,
        _BOTH_WAYS,
        _PHASE,
        _VERSION,
        _QUERY_ID,
        _QUERY_ADDRESS,
        _QUERY_DOMAIN,
    )
)
"""Commands that change nothing. Not among them: the classic proxy, which sends for others what they do not want to be seen sending."""
_AT_ONCE = 8
_A_SECOND = 2.0


class GuardedManagement(Management):
    """``Management`` that answers ``ANSWERED`` and refuses everything else. ``heard``: how the message at work was received."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration, measure=self._measured, phase=self._phase_of)
        self.heard = Heard(-84.0, 39.0)
        self._tokens = float(_AT_ONCE)
        self._at = 0.0

    def _measured(self, indication: Indication) -> bytes:
        return registers_of(self.heard, alternate_path=indication.alternate_path).encode()

    def _phase_of(self, indication: Indication) -> PhaseResponse | None:
        return PhaseResponse(phase=self.heard.phase) if self.heard.phase else None

    def _allowed(self, now: float) -> bool:
        """A bucket of answers that fills slowly."""
        self._tokens = (
            min(float(_AT_ONCE), self._tokens + (now - self._at) * _A_SECOND) if now > self._at else self._tokens
        )
        self._at = max(self._at, now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def serve(self, indication: Indication, now: float) -> Outcome:
        """Answer a question, refuse an order, be silent to whoever asks too much."""
        apdu = indication.apdu
        if not self._allowed(now):
            return SILENT if indication.reply is None else NULL
        if apdu and apdu[0] in ANSWERED:
            return super().serve(indication, now)
        self.counters.forbidden += 1
        if indication.reply is None or not apdu:
            return SILENT if indication.reply is None else NULL
        return Outcome(bytes((failure_code(apdu[0]),)) + (apdu[1:2] if apdu[0] == 0x60 else b""))
