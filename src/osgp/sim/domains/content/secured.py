"""Nonces and additional data of many messages at once, and the messages sealed: the batch form of ``osgp.app.suite``.

Layouts are those of ``spec/osgp-application.md`` 3.2 to 3.5, a project choice; the places of code, counter and tag come from the
declarations (``Contents``), and tests open with the ordinary machines what is sealed here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from osgp.app.aes import TAG_SIZE
from osgp.app.suite import slot_of
from osgp.sim.domains.content.ccm import NONCE_SIZE, BatchCipher, opened, sealed
from osgp.sim.domains.content.messages import Contents
from osgp.sim.domains.content.meters import GENERATION, Meters
from osgp.sim.domains.model import Kind

__all__ = ["Security", "grouped"]

COUNTER = 4
"""Bytes of a counter."""


def grouped(owners: Any) -> tuple[list[int], Any]:
    """Which nodes these owners, in rising order, are, and where each one's messages begin (one more than there are)."""
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    return owners[begins].tolist(), np.append(begins, len(owners))


class Security:
    """Seals and opens for all meters of a domain. ``owners`` are nodes in rising order, messages are rows of uint8."""

    def __init__(self, meters: Meters, contents: Contents) -> None:
        self.meters = meters
        self.contents = contents
        codes, nonces = contents.profile.codes, contents.profile.nonces
        slot = slot_of(GENERATION)
        self.request_code, self.alert_code = codes.request + slot, codes.alert + slot
        self._nonces = nonces.request, nonces.response, nonces.alert

    # ---- sealing -----------------------------------------------------------------------------------------------------
    def requests(self, owners: Any, numbers: Any) -> Any:
        """Requests with these numbers, each for its owner."""
        plaintexts = np.tile(np.frombuffer(self.contents.request, np.uint8), (len(owners), 1))
        counters = _octets(numbers)
        done = sealed(
            *self._ciphers(owners),
            self._nonce(Kind.REQUEST, owners, counters),
            self._aad(owners, self.request_code, counters),
            plaintexts,
        )
        return self._joined(self.contents.request_places, self.request_code, done, "seq", counters)

    def responses(self, owners: Any, requests: Any, plaintexts: Any) -> Any:
        """The response to each request."""
        counters, tags = self.counters(Kind.REQUEST, requests), self._tags(Kind.REQUEST, requests)
        done = sealed(
            *self._ciphers(owners),
            self._nonce(Kind.RESPONSE, owners, counters),
            self._aad(owners, self.request_code, counters, tags),
            plaintexts,
        )
        return self._joined(self.contents.response_places, self.request_code, done)

    def alerts(self, owners: Any, numbers: Any, plaintexts: Any) -> Any:
        """Alerts with these numbers."""
        counters = _octets(numbers)
        done = sealed(
            *self._ciphers(owners),
            self._nonce(Kind.REPORT, owners, counters),
            self._aad(owners, self.alert_code, counters),
            plaintexts,
        )
        return self._joined(self.contents.report_places, self.alert_code, done, "actr", counters)

    # ---- opening -----------------------------------------------------------------------------------------------------
    def open_requests(self, owners: Any, frames: Any) -> tuple[Any, Any]:
        """Plaintexts, and whether each tag is good."""
        counters = self.counters(Kind.REQUEST, frames)
        plaintexts, good = opened(
            *self._ciphers(owners),
            self._nonce(Kind.REQUEST, owners, counters),
            self._aad(owners, self.request_code, counters),
            self._apart(Kind.REQUEST, frames),
        )
        return plaintexts, good & (frames[:, 0] == self.request_code)

    def open_responses(self, owners: Any, frames: Any, requests: Any) -> tuple[Any, Any]:
        """The same for answers, each to its request."""
        counters, tags = self.counters(Kind.REQUEST, requests), self._tags(Kind.REQUEST, requests)
        plaintexts, good = opened(
            *self._ciphers(owners),
            self._nonce(Kind.RESPONSE, owners, counters),
            self._aad(owners, self.request_code, counters, tags),
            self._apart(Kind.RESPONSE, frames),
        )
        return plaintexts, good & (frames[:, 0] == self.request_code)

    def open_alerts(self, owners: Any, frames: Any) -> tuple[Any, Any]:
        """The same for alerts."""
        counters = self.counters(Kind.REPORT, frames)
        plaintexts, good = opened(
            *self._ciphers(owners),
            self._nonce(Kind.REPORT, owners, counters),
            self._aad(owners, self.alert_code, counters),
            self._apart(Kind.REPORT, frames),
        )
        return plaintexts, good & (frames[:, 0] == self.alert_code)

    def counters(self, kind: Kind, frames: Any) -> Any:
        """The counters (N, 4) of requests or alerts as sent."""
        offset, size = self._places(kind)["actr" if kind is Kind.REPORT else "seq"]
        return np.ascontiguousarray(frames[:, offset : offset + size])

    # ---- pieces ------------------------------------------------------------------------------------------------------
    def _ciphers(self, owners: Any) -> tuple[list[BatchCipher], Any]:
        nodes, bounds = grouped(owners)
        return [self.meters.cipher(node) for node in nodes], bounds

    def _places(self, kind: Kind) -> dict[str, tuple[int, int]]:
        contents = self.contents
        return (contents.request_places, contents.response_places, contents.report_places)[kind]

    def _nonce(self, kind: Kind, owners: Any, counters: Any) -> Any:
        tails = self.meters.nonce_tails
        nonces = np.empty((len(owners), NONCE_SIZE), np.uint8)
        nonces[:, 0] = self._nonces[kind]
        nonces[:, 1 : 1 + tails.shape[1]] = tails[owners]
        nonces[:, -COUNTER:] = counters
        return nonces

    def _aad(self, owners: Any, code: int, *behind: Any) -> Any:
        said = self.meters.additional[owners]
        return np.concatenate([said, np.full((len(owners), 1), code, np.uint8), *behind], 1)

    def _tags(self, kind: Kind, frames: Any) -> Any:
        offset, size = self._places(kind)["tag"]
        return frames[:, offset : offset + size]

    def _apart(self, kind: Kind, frames: Any) -> Any:
        """Ciphertexts with their tags, as AES-CCM has them."""
        offset, size = self._places(kind)["ciphertext"]
        return np.concatenate([frames[:, offset : offset + size], self._tags(kind, frames)], 1)

    @staticmethod
    def _joined(
        places: dict[str, tuple[int, int]], code: int, done: Any, counter: str = "", counters: Any = None
    ) -> Any:
        """Frames of code, ciphertext, counter and tag."""
        end = sum(places["tag"])
        frames = np.empty((len(done), end), np.uint8)
        frames[:, places["code"][0]] = code
        for name, piece in (("ciphertext", done[:, :-TAG_SIZE]), ("tag", done[:, -TAG_SIZE:]), (counter, counters)):
            if name:
                offset, size = places[name]
                frames[:, offset : offset + size] = piece
        return frames


def _octets(numbers: Any) -> Any:
    return np.asarray(numbers).astype(">u4")[:, None].view(np.uint8)
