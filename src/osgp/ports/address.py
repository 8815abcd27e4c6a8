"""Addresses of devices: which door, over which line, with which options.

``optical:///dev/ttyUSB0`` · ``optical+tcp://host:port`` · ``optical+rfc2217://host:port`` · ``mep:///dev/ttyUSB0`` ·
``mep+tcp://host:port`` · ``mep+tls+tcp://host:port`` · ``image:file``. Options follow a question mark:
``?baud=9600&key_kind=MBK&user_id=1``. Keys never stand in an address: addresses end up in logs. The scheme is a project
choice (``docs/design``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from osgp.ports.lines import LineOptions, LineSpec
from osgp.wire.errors import ConfigError

__all__ = ["DeviceAddress", "parse_address"]

_LINE_OPTIONS = ("baud", "rts", "dtr", "exclusive", "connect_timeout_s")
_DOOR_OPTIONS = (
    "key_kind",
    "user",
    "user_id",
    "packet_size",
    "packets",
    "talk_baud",
    "wake_up",
    "client_id",
    "encrypt",
    "chunked_reads",
    "timeout_s",
    "retries",
)
_EXAMPLES = (
    "optical:///dev/ttyUSB0, optical+tcp://host:port, mep+tls+tcp://host:port, mep:///dev/ttyUSB0 or image:meter.json"
)


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """A parsed address. ``door``: optical, mep or image; ``tls``: True, False (legacy asked for by ``+rc4``) or None."""

    text: str
    door: str
    line: LineSpec | None = None
    path: str = ""
    tls: bool | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For messages and logs: the address without its options."""
        return self.text.partition("?")[0]


def parse_address(text: str) -> DeviceAddress:
    """Read an address. Raises ConfigError with examples."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    words = scheme.lower().split("+")
    if not colon or words[0] not in ("optical", "mep", "image"):
        known = "lonip, pl" if words[0] in ("lonip", "pl") else ""
        raise ConfigError(
            f"{text!r} is no device address" + (f" ({known} doors are not built yet)" if known else ""), hint=_EXAMPLES
        )
    if words[0] == "image":
        path = unquote(rest.removeprefix("//"))
        if not path:
            raise ConfigError("image: needs a file", hint="for example image:meter.json")
        return DeviceAddress(text, "image", path=path)
    try:
        parts = urlsplit(text)
    except ValueError as error:  # brackets around what is no IPv6 address
        raise ConfigError(f"{text!r} cannot be read: {error}", hint=_EXAMPLES) from error
    if parts.username or parts.password:
        raise ConfigError(
            "an address must not hold a user or a key",
            hint="give the key with --key vault:NAME/KIND, file:, env: or prompt:",
        )
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in given:
        if name in ("key", "password"):
            raise ConfigError(
                "an address must not hold a key", hint="give the key with --key vault:NAME/KIND, file:, env: or prompt:"
            )
        if name not in _LINE_OPTIONS and name not in _DOOR_OPTIONS:
            raise ConfigError(
                f"unknown option {name!r} in the address",
                hint=f"options: {', '.join((*_LINE_OPTIONS, *_DOOR_OPTIONS))}",
            )
    tls: bool | None = None
    carriers = []
    for word in words[1:]:
        if word == "tls" and words[0] == "mep":
            tls = True
        elif word == "rc4" and words[0] == "mep":
            tls = False
        elif word in ("tcp", "rfc2217"):
            carriers.append(word)
        else:
            raise ConfigError(f"{scheme!r} is no door: {word!r} is unknown", hint=_EXAMPLES)
    if len(carriers) > 1:
        raise ConfigError(f"{scheme!r} names more than one line", hint=_EXAMPLES)
    options = LineOptions.of({name: given[name] for name in _LINE_OPTIONS if name in given})
    if carriers:
        if not parts.netloc:
            raise ConfigError(f"{text!r} has no host and port", hint=_EXAMPLES)
        line = LineSpec.parse(f"{carriers[0]} {parts.netloc}", None)
        line = LineSpec(line.kind, line.address, options)
    else:
        path = unquote(parts.path) if not parts.netloc else f"{parts.netloc}{unquote(parts.path)}"
        if not path:
            raise ConfigError(f"{text!r} names no serial port", hint=_EXAMPLES)
        line = LineSpec("serial", path, options)
    return DeviceAddress(text, words[0], line, tls=tls, options={n: v for n, v in given.items() if n in _DOOR_OPTIONS})
