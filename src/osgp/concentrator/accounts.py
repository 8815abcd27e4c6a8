"""What the line charges: airtime of frames and exchanges, direct and through repeaters; who has used how much of it.

The model is that of ``spec/perf-anchors.md`` section 8: bits of a frame, ``beta1`` and a mean back-off before each, one request and
one response over each leg. A *leg* is one link of the way: a device in our own earshot is one leg away, behind two repeaters three.
All times are seconds. Project choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from osgp.lon.csma import A_BAND, W_BASE, ChannelTiming

__all__ = ["AirtimeAccount", "LineCosts", "Usage"]

_MEAN_SLOTS = (W_BASE - 1) / 2
_SIGMAS = 4.0
"""A wait that is too short costs a repeat, one that is too long costs silence after a loss: four deviations of the back-off."""
_NOTHING_S = 1e-6
_LINK, _NETWORK, _ADDRESSES, _SESSION, _CRC = 1, 1, 4, 1, 2
_CHAIN_HEAD = 5
"""Code, header, two bytes of target control and the target's node; longer for a target in another subnet."""


@dataclass(frozen=True, slots=True)
class LineCosts:
    """How long things take on one line.

    ``bits_per_s``, ``bits_per_byte``, ``frame_bits`` (preamble, word sync and end of a packet): of the physical layer; ``timing``: of
    the access. ``domain_bytes``: length of the domain ID, 0, 1, 3 or 6. ``device_s``: time a device takes to answer or to pass a
    message on.
    """

    bits_per_s: float = 6.5536e6 / 1824
    bits_per_byte: float = 11
    frame_bits: float = 57
    timing: ChannelTiming = A_BAND
    domain_bytes: int = 1
    device_s: float = 0.0

    @property
    def byte_s(self) -> float:
        """One byte on one leg."""
        return self.bits_per_byte / self.bits_per_s

    @property
    def wait_s(self) -> float:
        """The mean silence before a frame: beta1 and the mean of the slots of an idle channel."""
        return self.timing.beta1_rx_s + _MEAN_SLOTS * self.timing.beta2_s

    def frame_s(self, apdu_bytes: float) -> float:
        """Airtime of the frame around an APDU, without the silence before it."""
        size = _LINK + _NETWORK + _ADDRESSES + self.domain_bytes + _SESSION + apdu_bytes + _CRC
        return (self.frame_bits + self.bits_per_byte * size) / self.bits_per_s

    def chain_bytes(self, legs: int) -> int:
        """Bytes that the repeating headers of one request have on all legs together (short addresses)."""
        return sum(_CHAIN_HEAD + (1 + listed if listed else 0) for listed in range(legs - 1))

    def request_s(self, apdu_bytes: int, legs: int) -> float:
        """Airtime of a request on all legs, repeating headers included."""
        return legs * self.frame_s(apdu_bytes) + self.chain_bytes(legs) * self.byte_s

    def exchange_s(self, request_bytes: int, response_bytes: int, legs: int) -> float:
        """A request and its response over all legs, with the mean silence before each frame: what the line is taken for."""
        air = self.request_s(request_bytes, legs) + legs * self.frame_s(response_bytes)
        return air + 2 * legs * (self.wait_s + self.device_s)

    def answer_by_s(self, request_bytes: int, response_bytes: int, legs: int) -> float:
        """When the response to a request is there unless something was lost: for a transmit timer (no other traffic).

        Whoever heard the request announced draws the slot of its response from a window twice as wide (ISO/IEC 14908-1).
        """
        windows = [W_BASE] * legs + [2 * W_BASE] * legs
        mean = sum(each - 1 for each in windows) / 2
        spread = math.sqrt(sum(each**2 - 1 for each in windows) / 12)
        slots = min(sum(each - 1 for each in windows), mean + _SIGMAS * spread) - 2 * legs * _MEAN_SLOTS
        # One beta1 and one slot more: that the last frame is noticed, and that nobody else was a moment quicker.
        return (
            self.exchange_s(request_bytes, response_bytes, legs)
            + (slots + 1) * self.timing.beta2_s
            + self.timing.beta1_rx_s
        )


@dataclass(slots=True)
class Usage:
    """What one class or device has used: ``exchanges`` begun, those ``answered``, transmissions of our own (``attempts``), airtime."""

    exchanges: int = 0
    answered: int = 0
    attempts: int = 0
    airtime_s: float = 0.0

    def to_json(self) -> dict[str, float]:
        """A plain object."""
        return {
            "exchanges": self.exchanges,
            "answered": self.answered,
            "attempts": self.attempts,
            "airtime_s": round(self.airtime_s, 3),
        }


@dataclass(slots=True)
class AirtimeAccount:
    """Airtime by class and by device, and a budget that the patient classes keep: ``share`` of the time, saved up for at most
    ``window_s``. Estimated from lengths and attempts: frames that were lost on the way count whole."""

    share: float = 0.6
    window_s: float = 60.0
    by_class: dict[str, Usage] = field(default_factory=dict)
    by_device: dict[int, Usage] = field(default_factory=dict)
    total: Usage = field(default_factory=Usage)
    _saved_s: float = 0.0
    _at: float = 0.0

    def __post_init__(self) -> None:
        self._saved_s = self.share * self.window_s

    def book(
        self, kind: str, device: int | None, airtime_s: float, now: float, *, attempts: int = 1, answered: bool = False
    ) -> None:
        """Note what an exchange or a broadcast took."""
        self._advance(now)
        self._saved_s -= airtime_s
        found = [self.total, self.by_class.setdefault(kind, Usage())]
        if device is not None:
            found.append(self.by_device.setdefault(device, Usage()))
        for usage in found:
            usage.exchanges += 1
            usage.answered += answered
            usage.attempts += attempts
            usage.airtime_s += airtime_s

    def free_at(self, now: float) -> float:
        """When a patient exchange may begin: now, or when the debts are paid."""
        self._advance(now)
        if self._saved_s >= -_NOTHING_S or self.share >= 1:
            return now
        return now - self._saved_s / self.share if self.share > 0 else math.inf

    def _advance(self, now: float) -> None:
        if now > self._at:
            self._saved_s = min(self.share * self.window_s, self._saved_s + self.share * (now - self._at))
            self._at = now
