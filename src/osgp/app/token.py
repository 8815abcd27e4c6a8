"""The head-end's token for critical orders: made where KCRIT is, checked in the device (3.8).

A **project choice**: token = counter(4) | first 8 bytes of CMAC(KCRIT, "OSGP-CRIT" | ND | procedure(2) | parameters | counter), all
as sent. For a table write FFFF | table(2) | offset(3) stand for the procedure and the data for the parameters.
"""

from __future__ import annotations

import hmac

from osgp.app.aes import check_unique_node_id, cmac
from osgp.app.critical import BT07, FULL_WRITE, PART_WRITE, TOKEN_SIZE, critical
from osgp.app.messages import Token
from osgp.app.profile import OsgpProfile
from osgp.crypto.keys import Key
from osgp.wire.errors import LocalProtocolError

__all__ = ["TOKEN_SIZE", "check", "procedure_with_token", "token", "write_with_token"]

_MAC_SIZE = 8


def _mac(kcrit: Key, unique_node_id: bytes, covered: bytes, counter: int, profile: OsgpProfile) -> bytes:
    label = profile.labels.token.encode("ascii")
    return cmac(kcrit, label, unique_node_id, covered, counter.to_bytes(4, "little"))[:_MAC_SIZE]


def token(kcrit: Key, unique_node_id: bytes, covered: bytes, counter: int, profile: OsgpProfile) -> bytes:
    """The 12 bytes of a token. ``covered``: procedure field and parameters as sent, or what stands for them."""
    check_unique_node_id(unique_node_id)
    if not 1 <= counter <= 0xFFFFFFFF:
        raise LocalProtocolError(f"a token counter is 1 to FFFFFFFF, not {counter}")
    return Token(counter=counter, mac=_mac(kcrit, unique_node_id, covered, counter, profile)).encode()


def check(
    kcrit: Key, unique_node_id: bytes, covered: bytes, given: bytes, stored: int, profile: OsgpProfile
) -> str | int:
    """The counter of a good token, else the reason: ``token`` or ``token-counter``. In constant time for the MAC."""
    if len(given) != TOKEN_SIZE:
        return "token"
    found = Token.decode(given)
    if not hmac.compare_digest(_mac(kcrit, unique_node_id, covered, found.counter, profile), found.mac):
        return "token"
    return found.counter if found.counter > stored else "token-counter"


def procedure_with_token(
    kcrit: Key, unique_node_id: bytes, procedure: int, psn: int, parameters: bytes, counter: int, profile: OsgpProfile
) -> bytes:
    """The full write of BT07 that calls a procedure with its token. ``procedure``: number and handling bits."""
    field = procedure.to_bytes(2, "little")
    data = field + bytes([psn]) + parameters
    data += token(kcrit, unique_node_id, field + parameters, counter, profile)
    return bytes([FULL_WRITE]) + BT07.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def write_with_token(kcrit: Key, unique_node_id: bytes, plaintext: bytes, counter: int, profile: OsgpProfile) -> bytes:
    """A table write (40, 4F) with its token behind the data, outside its count. LocalProtocolError if it needs none."""
    found = critical(plaintext)
    if plaintext[:1] not in (bytes([FULL_WRITE]), bytes([PART_WRITE])) or found is None or found.procedure is not None:
        raise LocalProtocolError("this message is no critical table write", hint="send it without a token")
    return plaintext + token(kcrit, unique_node_id, found.covered, counter, profile)
