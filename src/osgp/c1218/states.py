"""The states of the client's session and what leads from one to the next, as data; the documentation draws it.

``spec/optical.md`` section 7 seen from the client, with the client's own closing and reopening (project choice).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

__all__ = ["TRANSITIONS", "ClientState", "Outcome"]


class ClientState(Enum):
    """Where the conversation stands."""

    CLOSED = "closed"
    IDENTIFYING = "identifying"
    NEGOTIATING = "negotiating"
    LOGGING_ON = "logging on"
    MATCHING = "matching"
    SECURING = "securing"
    OPEN = "open"
    REQUESTING = "requesting"
    WAITING = "waiting"
    LOGGING_OFF = "logging off"
    TERMINATING = "terminating"


class Outcome(Enum):
    """What moves it on."""

    OPENED = "open()"
    REQUESTED = "request()"
    KEPT_ALIVE = "keep-alive due"
    LEFT = "close() or session limit"
    OK = "answer ok"
    OK_NO_KEY = "answer ok, no key given"
    DOUBTED = "older answers may come"
    REFUSED = "answer refuses"
    FAILED = "no usable answer"
    LAPSED = "channel time-out"


_S, _O = ClientState, Outcome

TRANSITIONS: Final[Mapping[tuple[ClientState, Outcome], ClientState]] = {
    (_S.CLOSED, _O.OPENED): _S.IDENTIFYING,
    (_S.IDENTIFYING, _O.OK): _S.NEGOTIATING,
    (_S.IDENTIFYING, _O.REFUSED): _S.TERMINATING,
    (_S.IDENTIFYING, _O.FAILED): _S.CLOSED,
    (_S.NEGOTIATING, _O.OK): _S.LOGGING_ON,
    (_S.NEGOTIATING, _O.REFUSED): _S.LOGGING_ON,
    (_S.NEGOTIATING, _O.FAILED): _S.CLOSED,
    (_S.LOGGING_ON, _O.OK): _S.SECURING,
    (_S.LOGGING_ON, _O.OK_NO_KEY): _S.OPEN,
    (_S.LOGGING_ON, _O.DOUBTED): _S.MATCHING,
    (_S.LOGGING_ON, _O.REFUSED): _S.TERMINATING,
    (_S.LOGGING_ON, _O.FAILED): _S.CLOSED,
    (_S.MATCHING, _O.OK): _S.SECURING,
    (_S.MATCHING, _O.OK_NO_KEY): _S.OPEN,
    (_S.MATCHING, _O.REQUESTED): _S.REQUESTING,
    (_S.MATCHING, _O.FAILED): _S.CLOSED,
    (_S.SECURING, _O.OK): _S.OPEN,
    (_S.SECURING, _O.REFUSED): _S.LOGGING_OFF,
    (_S.SECURING, _O.FAILED): _S.CLOSED,
    (_S.OPEN, _O.REQUESTED): _S.REQUESTING,
    (_S.OPEN, _O.DOUBTED): _S.MATCHING,
    (_S.OPEN, _O.KEPT_ALIVE): _S.WAITING,
    (_S.OPEN, _O.LEFT): _S.LOGGING_OFF,
    (_S.OPEN, _O.LAPSED): _S.CLOSED,
    (_S.REQUESTING, _O.OK): _S.OPEN,
    (_S.REQUESTING, _O.REFUSED): _S.OPEN,
    (_S.REQUESTING, _O.DOUBTED): _S.MATCHING,
    (_S.REQUESTING, _O.FAILED): _S.CLOSED,
    (_S.WAITING, _O.OK): _S.OPEN,
    (_S.WAITING, _O.REFUSED): _S.OPEN,
    (_S.WAITING, _O.FAILED): _S.CLOSED,
    (_S.LOGGING_OFF, _O.OK): _S.TERMINATING,
    (_S.LOGGING_OFF, _O.REFUSED): _S.TERMINATING,
    (_S.LOGGING_OFF, _O.FAILED): _S.CLOSED,
    (_S.TERMINATING, _O.OK): _S.CLOSED,
    (_S.TERMINATING, _O.REFUSED): _S.CLOSED,
    (_S.TERMINATING, _O.FAILED): _S.CLOSED,
}
"""(state, outcome) → state. A pair that is not here is a wrong call (LocalProtocolError)."""
