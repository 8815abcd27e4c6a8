"""Looking into a recorded TLS session of the MEP with the pre-shared key: all of the handshake must be in the record.

Plain PSK has no forward secrecy: who has the key reads every recorded session. For captures of one's own meter.
Source of the schedule: ``osgp.mep.tls.keyschedule``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from osgp.mep.tls.alerts import AlertMessage, Refusal
from osgp.mep.tls.keyschedule import master_secret, write_keys
from osgp.mep.tls.messages import (
    BODIES,
    MESSAGE_HEADER_LENGTH,
    ClientHello,
    ClientKeyExchange,
    Handshake,
    HandshakeHeader,
    HandshakeType,
    ServerHello,
)
from osgp.mep.tls.records import ChangeCipherSpec, ContentType, Record, RecordBuffer, RecordCipher, SealedFragment
from osgp.wire import layout_of
from osgp.wire.errors import Error
from osgp.wire.explain import ExplainNode

__all__ = ["Seen", "TlsObserver"]

_KEY_IDS = {0: "MBK", 1: "MAK"}


@dataclass(slots=True)
class Seen:
    """What one flight held: its records in words and field by field, and application data if they could be opened.

    ``trees``: offsets count from the start of the flight; what was opened hangs below what it was sealed in, which has
    its content at the same place.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    trees: list[ExplainNode] = field(default_factory=list)
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
                self._record(seen, record, to_server)
        except Refusal as refusal:
            seen.error = refusal.error.message
        except Error as error:
            seen.error = error.message
        if len(buffer) and not seen.error:
            seen.error = "bytes that are no whole TLS record"
        return seen

    def _record(self, seen: Seen, record: Record, to_server: bool) -> None:
        kind, fragment = record.content_type, record.fragment
        words: dict[str, Any] = {"type": kind.name.lower(), "size": len(fragment)}
        seen.records.append(words)
        tree = layout_of(Record).explain(record.encode())
        if seen.trees:
            tree.shift(seen.trees[-1].offset + seen.trees[-1].size)
        seen.trees.append(tree)
        if kind is ContentType.CHANGE_CIPHER_SPEC:
            self._sealed[to_server] = True
            tree.graft("fragment", layout_of(ChangeCipherSpec).explain(fragment))
            return
        plain, holder, name = fragment, tree, "fragment"
        # Data are always sealed; without the handshake before them nothing else says so.
        if self._sealed[to_server] or kind is ContentType.APPLICATION_DATA:
            holder, name = layout_of(SealedFragment).explain(fragment), "sealed"
            words["explicit_nonce"] = (holder.children[0].raw if holder.children else fragment).hex()
            tree.graft("fragment", holder)
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
            found = []
            for code, body, inner in _messages(plain):
                holder.graft(name, inner)
                found.append(self._message(code, body))
            words["messages"] = found
        elif kind is ContentType.APPLICATION_DATA:
            seen.plain += plain
        elif kind is ContentType.ALERT:
            words["alert"] = plain.hex()
            holder.graft(name, layout_of(AlertMessage).explain(plain))

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

    def _message(self, kind: HandshakeType, body: bytes) -> dict[str, Any]:
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
        return {"message": kind.name.lower() if kind.known else f"{kind:02x}"}

    def _derive(self) -> None:
        for name, key in self._keys.items():
            master = master_secret(key, self._client_random, self._server_random)
            client, server = write_keys(master, self._client_random, self._server_random)
            self._candidates[name] = {True: RecordCipher(client), False: RecordCipher(server)}


def _messages(plain: bytes) -> Iterator[tuple[HandshakeType, bytes, ExplainNode]]:
    """(type, body, tree with the offset in ``plain``) of each handshake message; the last body may be cut short."""
    at = 0
    while at + MESSAGE_HEADER_LENGTH <= len(plain):
        start = at + MESSAGE_HEADER_LENGTH
        header = HandshakeHeader.decode(plain[at:start])
        body = plain[start : start + header.length]
        tree = layout_of(Handshake).explain(plain[at : start + header.length])
        if header.kind in BODIES:
            tree.graft("body", layout_of(BODIES[header.kind]).explain(body))
        tree.shift(at)
        yield header.kind, body, tree
        at = start + header.length
