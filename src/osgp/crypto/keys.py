"""Keys: a type that never shows them, and a reader for what people type, paste and are sent by their utility.

The trap of the field: MBK and MAK are stored as 20 bytes and handed out as 20 ASCII characters that often *look* like
hex digits but are characters; the MEP uses the first 16 bytes of them (some utilities therefore say "cut the last
four"). So the number of characters decides, never their look: 20 characters are 20 bytes, 40 hex digits are 20 bytes,
32 hex digits are 16 bytes. What could be read in two ways is refused with the two readings named; ``ascii:`` or
``hex:`` in front decides.

Sources: MEP guide v1.1 (keys of 20 stored bytes, 16 used); field reports for the ASCII form and for the padding of
short optical keys with zeros; the prefixes and the refusals are a project choice.
"""

from __future__ import annotations

import hmac
import re
import string
from itertools import pairwise
from typing import Any, Literal, NoReturn

from osgp.wire.errors import ConfigError

__all__ = ["KEY_KINDS", "Key", "KeyUse", "default_key", "parse_key", "use_of_kind"]

KeyUse = Literal["mep", "optical", "omak", "lon", "aes", "any"]
"""What a key is for: ``mep`` (MBK, MAK), ``optical`` (MK, PK, RK), ``omak`` (power line), ``lon`` (a domain of the control
network), ``aes`` (AES-128 suite of the power line: UMK, PSK, KB …), ``any`` (not known yet; then one of the first three)."""

KEY_KINDS: dict[str, KeyUse] = {
    "MAK": "mep",
    "MBK": "mep",
    "MK": "optical",
    "PK": "optical",
    "RK": "optical",
    "OMAK": "omak",
    "UMK": "aes",
    "UMK-NEXT": "aes",
    "PSK": "aes",
    "KEK": "aes",
    "KCRIT": "aes",
    "KFW": "aes",
    "KB": "aes",
}
"""The kinds of keys of a device and the door each is for."""

_BYTES: dict[KeyUse, tuple[int, ...]] = {
    "mep": (16, 20),
    "optical": (16, 20),
    "omak": (12,),
    "lon": (6,),
    "aes": (16,),
    "any": (12, 16, 20),
}
_HEX = frozenset(string.hexdigits)
_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(?:([ :\-.])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2})*")
_TWO_WAYS = "write ascii: in front if these characters are the key, hex: if they are hex digits"


def use_of_kind(kind: str) -> KeyUse:
    """The use of a kind of key, in any case (``MAK``, ``MBK``, ``MK``, ``PK``, ``RK``, ``OMAK``); else ConfigError."""
    use = KEY_KINDS.get(kind.upper())
    if use is None:
        raise ConfigError("no such kind of key", hint=f"known kinds: {', '.join(KEY_KINDS)}")
    return use


class Key:
    """6, 12, 16 or 20 secret bytes. Never shown by repr, str, format or pickle; equality takes constant time.

    The bytes come out only by name: ``secret()`` (as given), ``for_mep()`` (first 16), ``for_optical()`` (20, padded
    with zeros), ``for_omak()`` (12), ``for_lon()`` (6), ``for_aes()`` (16). Each raises
    ConfigError when the key cannot serve there. Immutable by convention.
    """

    __slots__ = ("__octets",)

    def __init__(self, octets: bytes) -> None:
        if len(octets) not in (6, 12, 16, 20):
            raise ConfigError(
                f"a key has 6, 12, 16 or 20 bytes, not {len(octets)}", hint="use parse_key for what a person typed"
            )
        self.__octets = bytes(octets)

    def secret(self) -> bytes:
        """The bytes as given. The caller keeps them out of logs, errors and files."""
        return self.__octets

    def for_mep(self) -> bytes:
        """The 16 bytes that the MEP uses (digest, encryption, TLS): the first 16 of 16 or 20."""
        if len(self.__octets) == 12:
            raise ConfigError("a 12-byte key is an OMAK; the MEP needs an MBK or MAK of 16 or 20 bytes")
        if len(self.__octets) == 6:
            raise ConfigError("a 6-byte key is that of a domain; the MEP needs an MBK or MAK of 16 or 20 bytes")
        return self.__octets[:16]

    def for_optical(self) -> bytes:
        """The 20 bytes of the security service on the optical port, padded with zeros on the right."""
        if len(self.__octets) == 6:
            raise ConfigError("a 6-byte key is that of a domain; the optical port needs up to 20 characters")
        return self.__octets.ljust(20, b"\0")

    def for_omak(self) -> bytes:
        """The 12 bytes of an OMAK."""
        if len(self.__octets) != 12:
            raise ConfigError(f"an OMAK has 12 bytes, not {len(self.__octets)}")
        return self.__octets

    def for_lon(self) -> bytes:
        """The 6 bytes by which the members of a domain authenticate."""
        if len(self.__octets) != 6:
            raise ConfigError(f"the key of a domain has 6 bytes, not {len(self.__octets)}")
        return self.__octets

    def for_aes(self) -> bytes:
        """The 16 bytes of a key of the AES-128 suite."""
        if len(self.__octets) != 16:
            raise ConfigError(f"a key of the AES-128 suite has 16 bytes, not {len(self.__octets)}")
        return self.__octets

    def __len__(self) -> int:
        return len(self.__octets)

    def __repr__(self) -> str:
        return f"Key({len(self.__octets)} bytes, hidden)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return hmac.compare_digest(self.__octets, other.__octets)

    def __hash__(self) -> int:
        return hash(self.__octets)

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Key:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a key is not pickled: keep it in a vault (osgp.ports.vault)")


def default_key(key: Key) -> str:
    """Why this key is no secret, in words, or the empty string.

    Knows keys of one repeated byte (01 is the guide's default for MBK and MAK, zeros mean "not set", DF is the
    published test key of the OMA digest), the same digit typed throughout, and plain counting (00 01 02 …).
    """
    octets = key.secret()
    body = octets.rstrip(b"\0") or b"\0"
    if len(set(octets)) == 1:
        meaning = {
            0x01: "the default key printed in the guides",
            0x00: "all zeros, that is no key",
            0xDF: "the published test key of the OMA digest",
            0xFF: "all ones, as erased memory holds",
        }.get(octets[0])
        return meaning or "one byte repeated"
    if len(set(body)) == 1:
        return "one character repeated"
    if len(set(octets[:16])) == 1:
        return "one byte repeated in the 16 bytes that the MEP uses"
    if all((b - a) & 0xFF == 1 for a, b in pairwise(octets)):
        return "plain counting"
    return ""


def parse_key(given: str | bytes, *, use: KeyUse = "any") -> Key:
    """Read a key as people have it: text, or bytes as a file holds them.

    Text: 20 characters or 16 characters (used as characters, whatever they look like); 40 or 32 hex digits, also in
    pairs parted by blank, colon, dash or dot; for an OMAK 24 hex digits or 12 characters; for a domain of the control network
    12 hex digits, for the AES-128 suite 32; for the optical port also
    fewer than 20 characters, padded with zeros. ``ascii:`` or ``hex:`` in front decides what could be read in two
    ways. Bytes: 16 or 20 (12 for an OMAK, 6 for a domain, 16 for AES) are the key itself; other lengths are read as text. A line
    end behind the text does not count.

    Raises ConfigError with a hint; its text tells lengths and places, never characters of the key.
    """
    if isinstance(given, (bytes, bytearray, memoryview)):
        octets = bytes(given)
        if len(octets) in _BYTES[use]:
            return _made(octets, use)
        given = _as_text(octets)
    text = given.rstrip("\r\n")
    lowered = text[:6].lower()
    if lowered.startswith("ascii:"):
        return _from_characters(text[6:], use)
    if lowered.startswith("hex:"):
        return _from_hex(text[4:], use)
    bare = text.strip()
    if bare != text:
        if _plausible(text, use) and _plausible(bare, use):
            raise ConfigError(
                "the key begins or ends with a blank, and with or without it could be a key",
                hint="write ascii: in front to keep the blank, or remove it",
            )
        if not _plausible(text, use):
            text = bare
    if not text:
        raise ConfigError("the key is empty", hint=_wanted(use))
    _check_characters(text)
    if _PAIRS.fullmatch(text) and not _is_hex(text):
        return _from_parted(text, use)
    if text[:2] in ("0x", "0X") and _is_hex(text[2:]):
        if len(text) in (12, 16, 20) or (use == "optical" and len(text) < 20):
            raise ConfigError(f"{len(text)} characters that begin with 0x can be read in two ways", hint=_TWO_WAYS)
        return _from_hex(text[2:], use)
    if _is_hex(text) and len(text) in _hex_lengths(use):
        return _from_hex(text, use)
    if use == "omak" and len(text) == 12 and _is_hex(text):
        raise ConfigError("12 hex digits could be a 12-character OMAK or a 6-byte key", hint=_TWO_WAYS)
    if _character_length_fits(len(text), use):
        return _from_characters(text, use)
    raise ConfigError(_why_not(text), hint=_wanted(use))


def _as_text(octets: bytes) -> str:
    bad = next((place for place, octet in enumerate(octets) if octet > 0x7E), None)
    if bad is not None:
        raise ConfigError(
            f"{len(octets)} bytes are no key, and byte {bad} is no ASCII character",
            hint="a key file holds 16 or 20 bytes, or text of 20 characters or 40 hex digits",
        )
    return octets.decode("ascii")


def _check_characters(text: str) -> None:
    for place, character in enumerate(text, 1):
        if not 0x20 <= ord(character) <= 0x7E:
            raise ConfigError(
                f"character {place} of the key is not printable ASCII",
                hint="word processors change quotes, dashes and blanks: type the key again, or give it as hex digits",
            )


def _is_hex(text: str) -> bool:
    return bool(text) and all(character in _HEX for character in text)


def _hex_lengths(use: KeyUse) -> tuple[int, ...]:
    return tuple(2 * length for length in _BYTES[use])


def _character_length_fits(length: int, use: KeyUse) -> bool:
    if use in ("lon", "aes"):
        return False
    if use == "omak":
        return length == 12
    return 1 <= length <= 20 if use == "optical" else length in (16, 20)


def _plausible(text: str, use: KeyUse) -> bool:
    return _character_length_fits(len(text), use) or (_is_hex(text) and len(text) in _hex_lengths(use))


def _from_characters(text: str, use: KeyUse) -> Key:
    _check_characters(text)
    if not _character_length_fits(len(text), use) and not (use == "any" and len(text) == 12):
        raise ConfigError(f"a key of {len(text)} characters does not fit", hint=_wanted(use))
    octets = text.encode("ascii")
    return _made(octets.ljust(20, b"\0") if use == "optical" else octets, use)


def _from_hex(text: str, use: KeyUse) -> Key:
    digits = "".join(character for character in text if character not in " :-.")
    bad = next((place for place, character in enumerate(digits, 1) if character not in _HEX), None)
    if bad is not None:
        raise ConfigError(f"character {bad} of the key is no hex digit", hint=_wanted(use))
    if len(digits) not in _hex_lengths(use):
        raise ConfigError(f"{len(digits)} hex digits make no key here", hint=_wanted(use))
    return _made(bytes.fromhex(digits), use)


def _from_parted(text: str, use: KeyUse) -> Key:
    """Hex pairs with a separator; a text that is short enough to be characters as well is refused."""
    if _character_length_fits(len(text), use):
        raise ConfigError(f"{len(text)} characters that look like parted hex can be read in two ways", hint=_TWO_WAYS)
    return _from_hex(text, use)


def _made(octets: bytes, use: KeyUse) -> Key:
    if use == "optical" and len(octets) == 16:
        octets = octets.ljust(20, b"\0")
    return Key(octets)


def _wanted(use: KeyUse) -> str:
    if use == "lon":
        return "the key of a domain is 12 hex digits or 6 bytes"
    if use == "aes":
        return "a key of the AES-128 suite is 32 hex digits or 16 bytes"
    if use == "omak":
        return "an OMAK is 24 hex digits or 12 bytes"
    if use == "optical":
        return "give 20 characters (fewer are padded with zeros) or 40 hex digits"
    return "give the 20 characters as issued (also if they look like hex), 40 hex digits, or 32 hex digits"


def _why_not(text: str) -> str:
    length = len(text)
    if not _is_hex(text):
        if length in (24, 32, 40):
            bad = next(place for place, character in enumerate(text, 1) if character not in _HEX)
            return f"{length} characters would be hex digits, but character {bad} is none"
        return f"a key of {length} characters does not fit"
    for target in (32, 40):
        if 0 < abs(length - target) <= 3:
            number, word = abs(length - target), "missing" if length < target else "too many"
            return f"{length} hex digits: {number} {word} for a key of {target // 2} bytes"
    return f"{length} hex digits make no key"
