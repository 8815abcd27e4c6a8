"""Looking into a recorded TLS session of the MEP with the pre-shared key: all of the handshake must be in the record.

Plain PSK has no forward secrecy: who has the key reads every recorded session. For captures of one's own meter.
Source of the schedule: ``osgp.mep.tls.keyschedule``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from osgp.mep.tls.alerts import Refusal
from osgp.mep.tls.keyschedule import master_secret, write_keys
from osgp.mep.tls.messages import ClientHello, ClientKeyExchange, HandshakeType, ServerHello
from osgp.mep.tls.records import ContentType, RecordBuffer, RecordCipher
from osgp.wire.errors import Error

__all__ = ["Seen", "TlsObserver"]

_KEY_IDS = {0: "MBK", 1: "MAK"}


@dataclass(slots=True)
class Seen:
    """What one flight held: its records in words, and application data if they could be opened."""

    records: list[dict[str, Any]] = field(default_factory=list)
    plain: bytes = b""
    error: str = ""


class TlsObserver:
    """Follows one session. ``keys``: name → 16 bytes; ``access``: the name of the one that fitted, once known."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._client_random = b""
        self._server_random = b""
        self._sealed = {True: False, False: False}
        self._candidates: dict[str, dict[bool, RecordCipher]] = {}
        self.access = ""
        self.waiting = False

    def records(self, data: bytes, *, to_server: bool) -> Seen:
        """One flight. Never raises: damage is said in ``Seen.error``."""
        self.waiting = to_server
        seen = Seen()
        buffer = RecordBuffer()
        buffer.feed(data)
        try:
            while (record := buffer.next()) is not None:
                self._record(seen, record.content_type, record.fragment, to_server)
        except Refusal as refusal:
            seen.error = refusal.error.message
        except Error as error:
            seen.error = error.message
        if len(buffer) and not seen.error:
            seen.error = "bytes that are no whole TLS record"
        return seen

    def _record(self, seen: Seen, kind: ContentType, fragment: bytes, to_server: bool) -> None:
        words: dict[str, Any] = {"type": kind.name.lower(), "size": len(fragment)}
        seen.records.append(words)
        if kind is ContentType.CHANGE_CIPHER_SPEC:
            self._sealed[to_server] = True
            return
        plain = fragment
        # Data are always sealed; without the handshake before them nothing else says so.
        if self._sealed[to_server] or kind is ContentType.APPLICATION_DATA:
            words["explicit_nonce"] = fragment[:8].hex()
            opened = self._open(kind, fragment, to_server)
            if opened is None:
                words["encrypted"] = True
                if self._keys:
                    known = bool(self._client_random)
                    seen.error = "no key opens this record" if known else "the handshake is not in the capture"
                return
            plain = opened
            words["plaintext"] = plain.hex()
        if kind is ContentType.HANDSHAKE:
            words["messages"] = self._handshake(plain)
        elif kind is ContentType.APPLICATION_DATA:
            seen.plain += plain
        elif kind is ContentType.ALERT:
            words["alert"] = plain.hex()

    def _open(self, kind: ContentType, fragment: bytes, to_server: bool) -> bytes | None:
        for name, ciphers in list(self._candidates.items()):
            try:
                plain = ciphers[to_server].open(kind, fragment)
            except (Refusal, Error):
                continue
            self.access = name
            self._candidates = {name: ciphers}
            return plain
        return None

    def _handshake(self, plain: bytes) -> list[dict[str, Any]]:
        found = []
        at = 0
        while at + 4 <= len(plain):
            size = int.from_bytes(plain[at + 1 : at + 4], "big")
            body = plain[at + 4 : at + 4 + size]
            found.append(self._message(plain[at], body))
            at += 4 + size
        return found

    def _message(self, kind: int, body: bytes) -> dict[str, Any]:
        if kind == HandshakeType.CLIENT_HELLO:
            hello = ClientHello.decode(body)
            self._client_random = hello.random
            suites = [f"{suite:04x}" for suite in hello.suites]
            return {"message": "client_hello", "random": hello.random.hex(), "cipher_suites": suites}
        if kind == HandshakeType.SERVER_HELLO:
            answer = ServerHello.decode(body)
            self._server_random = answer.random
            return {
                "message": "server_hello",
                "random": answer.random.hex(),
                "session_id": answer.session_id.hex(),
                "cipher_suite": f"{answer.suite:04x}",
            }
        if kind == HandshakeType.CLIENT_KEY_EXCHANGE:
            identity = ClientKeyExchange.decode(body).identity
            self._derive()
            words: dict[str, Any] = {"message": "client_key_exchange", "psk_identity": identity.hex()}
            if len(identity) == 3:
                words["client_id"] = int.from_bytes(identity[:2], "little")
                words["key_id"] = f"{identity[2]} = {_KEY_IDS.get(identity[2], 'unknown')}"
            return words
        if kind == HandshakeType.FINISHED:
            return {"message": "finished", "verify_data": body.hex()}
        try:
            name = HandshakeType(kind).name.lower()
        except ValueError:
            name = f"{kind:02x}"
        return {"message": name}

    def _derive(self) -> None:
        for name, key in self._keys.items():
            master = master_secret(key, self._client_random, self._server_random)
            client, server = write_keys(master, self._client_random, self._server_random)
            self._candidates[name] = {True: RecordCipher(client), False: RecordCipher(server)}
