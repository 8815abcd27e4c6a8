"""``OsgpProfile``: message codes, key labels, sizes and limits of OSGP's own layer, in one replaceable value.

The text of TS 104 001 annexes F and G and of clause 4 could not be read, so all of this is a **project choice** unless marked
[V] (verified). Who has the real numbers, or a network that differs, gives a TOML text; nothing else has to change.
Source: ``spec/osgp-application.md`` sections 3.1–3.12.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from osgp.wire.errors import ConfigError

__all__ = ["Codes", "Labels", "LegacyRules", "Limits", "Nonces", "OsgpProfile"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Codes:
    """First bytes of APDUs (section 3.2). Of those with two slots this is the even one; slot 1 adds 1."""

    legacy: int = 0x00
    """[V] Requests and responses of the legacy suite."""
    request: int = 0x10
    broadcast: int = 0x12
    alert: int = 0x14
    sequence_error: int = 0x16
    fcm: int = 0x18
    atm: int = 0x1A
    ltep: int = 0x4D
    """[V] Enhanced proxy."""
    diagnostic: int = 0x57
    """[V] Query of the transceiver."""


@dataclass(frozen=True, slots=True)
class Nonces:
    """First byte of a nonce (section 3.2)."""

    request: int = 1
    response: int = 2
    sequence_error: int = 3
    broadcast: int = 4
    alert: int = 5
    commissioning: int = 6


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of the key derivation (section 3.1) and of the token (3.8), ASCII without terminator."""

    psk: str = "OSGP/DC"
    kek: str = "OSGP/KEK"
    kcrit: str = "OSGP/CRIT"
    kfw: str = "OSGP/FW"
    session: str = "OSGP/SES"
    token: str = "OSGP-CRIT"


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, counts and times of sections 3.2 to 3.9."""

    suite: int = 2
    """[V] Number of OSGP-AES-128-PSK in ET04.127; bit 2 of a map of suites."""
    max_apdu: int = 96
    """[V] 84 bytes read or 75 written give exactly this; 18 more are the repeating header's (inference)."""
    max_read: int = 84
    """[V] Data bytes of one partial read."""
    max_write: int = 75
    """[V] Data bytes of one partial write; a token takes 12 of them."""
    max_counter: int = 0xFFFF0000
    counter_block: int = 32
    usage_block: int = 1024
    """Uses of a key between two saves of its usage counter."""
    fcm_per_day: int = 100
    """[V] Challenge and commission messages a day."""
    challenge_timeout_s: float = 30.0
    sequence_error_every_s: float = 1.0
    key_usage_max: int = 1_000_000
    """[V] Default of ET04.123."""
    key_usage_alarm: float = 0.8
    """[V] Share of ``key_usage_max`` at which the event is raised."""
    key_age_max_s: float = 90 * 86400.0
    alerts_per_day: int = 24
    alert_every_s: float = 60.0
    max_alert_argument: int = 16
    max_groups: int = 10
    """[V] Group ids of a meter (1.8)."""
    broadcast_clock_step_s: int = 60
    code_bytes: int = 54
    """Code bytes of one packet of EP09: with number 56 [V]."""
    blocks_per_run: int = 64
    """Blocks under one hash of user table 4000+20."""
    trial_s: float = 86400.0
    """How long a new code bank waits for a secured request before it falls back."""


@dataclass(frozen=True, slots=True)
class LegacyRules:
    """What is not settled or is a choice about the legacy suite (sections 1.5, 1.6, 3.12)."""

    window: int = 8
    """[V] for the local port: a number may be 1 to 8 above the last."""
    response_continues_stream: bool = False
    """Whether a response goes on with the key stream of its request, as on the local port, or has its own (unverified)."""
    bad_digest_every_s: float = 10.0
    bad_digests_per_day: int = 20
    messages_per_key: int = 10_000
    """Section 5: after these the key should be replaced."""
    answer_failures: bool = False
    """Whether a bad digest is answered with 0B; that answer is the oracle of the published attacks."""


@dataclass(frozen=True, slots=True)
class OsgpProfile:
    """One network's numbers. Frozen: share it among all nodes of a network."""

    name: str = "project choice"
    codes: Codes = field(default_factory=Codes)
    nonces: Nonces = field(default_factory=Nonces)
    labels: Labels = field(default_factory=Labels)
    limits: Limits = field(default_factory=Limits)
    legacy: LegacyRules = field(default_factory=LegacyRules)

    def __post_init__(self) -> None:
        paired = ("request", "broadcast", "alert", "sequence_error")
        taken = [getattr(self.codes, one) + slot for one in paired for slot in (0, 1)]
        taken += [self.codes.legacy, self.codes.fcm, self.codes.atm, self.codes.ltep, self.codes.diagnostic]
        if len(set(taken)) != len(taken) or not all(0 <= code <= 0xFF for code in taken):
            raise ConfigError(
                "two messages of the profile have the same code, or one is no byte",
                hint="secured messages take two codes each, for the slots 0 and 1",
            )
        if any(getattr(self.codes, one) & 1 for one in paired):
            raise ConfigError("the code of a secured message is odd", hint="the low bit tells the key slot")
        kinds = [getattr(self.nonces, one.name) for one in fields(self.nonces)]
        if len(set(kinds)) != len(kinds) or not all(0 <= kind <= 0xFF for kind in kinds):
            raise ConfigError("two kinds of nonces of the profile are the same, or one is no byte")
        if not 13 <= self.limits.max_apdu <= 228 or not 0 < self.limits.counter_block <= 0xFFFF:
            raise ConfigError("max_apdu is 13 to 228, counter_block 1 to 65535")

    @classmethod
    def from_toml(cls, text: str) -> OsgpProfile:
        """The profile of a TOML text: ``name`` and the tables ``[codes]``, ``[nonces]``, ``[labels]``, ``[limits]``,
        ``[legacy]``, each with the names of this module; what is not named keeps its value.

        Raises ConfigError for bad TOML, a name that is not known, a value of another kind, or codes that collide.
        """
        try:
            given = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"the profile is no TOML: {error}") from error
        return _changed(cls(), given, "")


def _changed(base: T, given: Mapping[str, Any], where: str) -> T:
    """``base`` with what ``given`` says; nested tables go into nested dataclasses."""
    known = [one.name for one in fields(base)]  # type: ignore[arg-type]  # only dataclasses come here
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"the profile has no {where}{name}", hint=f"known: {', '.join(known)}")
        old = getattr(base, name)
        if is_dataclass(old):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}{name} of the profile is a table", hint=f"write [{name}] and lines below")
            changes[name] = _changed(old, value, f"{name}.")
            continue
        wanted = type(old)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise ConfigError(f"{where}{name} of the profile is {wanted.__name__}, not {type(value).__name__}")
        changes[name] = value
    return replace(base, **changes)  # type: ignore[type-var]  # only dataclasses come here
