"""Keys as people type them, and that nothing shows them."""

from __future__ import annotations

import contextlib
import copy
import pickle
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.crypto.keys import KEY_KINDS, Key, KeyUse, default_key, parse_key, use_of_kind
from osgp.wire.errors import ConfigError

few = settings(max_examples=100, deadline=None)
LOOKS_LIKE_HEX = "A1B2C3D4E5F60718293A"


@pytest.mark.parametrize(
    ("text", "use", "octets"),
    [
        # Users' request 11: what looks like hex is characters when there are twenty of them.
        (LOOKS_LIKE_HEX, "mep", LOOKS_LIKE_HEX.encode()),
        (LOOKS_LIKE_HEX[:16], "mep", LOOKS_LIKE_HEX[:16].encode()),
        (LOOKS_LIKE_HEX + "\n", "any", LOOKS_LIKE_HEX.encode()),
        ("  " + LOOKS_LIKE_HEX + " ", "mep", LOOKS_LIKE_HEX.encode()),
        ("01" * 20, "mep", bytes([1] * 20)),
        ("01" * 16, "mep", bytes([1] * 16)),
        ("01 " * 15 + "01", "mep", bytes([1] * 16)),
        (":".join(["a1"] * 20), "mep", bytes([0xA1] * 20)),
        ("0x" + "01" * 16, "mep", bytes([1] * 16)),
        ("hex:" + "01" * 16, "mep", bytes([1] * 16)),
        ("ASCII:" + LOOKS_LIKE_HEX, "mep", LOOKS_LIKE_HEX.encode()),
        ("ascii:0x112233445566778899", "mep", b"0x112233445566778899"),
        ("DF" * 12, "omak", bytes([0xDF] * 12)),
        ("DF" * 12, "any", bytes([0xDF] * 12)),
        ("hello, world", "omak", b"hello, world"),
        ("SECRET", "optical", b"SECRET".ljust(20, b"\0")),
        ("1234", "optical", b"1234".ljust(20, b"\0")),
        ("01" * 16, "optical", bytes([1] * 16 + [0] * 4)),
        ("01" * 20, "optical", bytes([1] * 20)),
        (bytes(range(16)), "mep", bytes(range(16))),
        (bytes(range(20)), "any", bytes(range(20))),
        (LOOKS_LIKE_HEX.encode(), "mep", LOOKS_LIKE_HEX.encode()),
        (("01" * 20 + "\r\n").encode(), "mep", bytes([1] * 20)),
        (bytes(range(12)), "omak", bytes(range(12))),
        ("31415926535897932384626433832795", "aes", bytes.fromhex("31415926535897932384626433832795")),
        (bytes(range(16)), "aes", bytes(range(16))),
        (b"PAD", "optical", b"PAD".ljust(20, b"\0")),
    ],
)
def test_what_people_give_is_read(text: str | bytes, use: KeyUse, octets: bytes) -> None:
    assert parse_key(text, use=use).secret() == octets


@pytest.mark.parametrize(
    ("text", "use", "says"),
    [
        ("", "mep", "empty"),
        ("0x" + "A" * 18, "mep", "two ways"),
        ("01 01 01 01 01 01 01", "mep", "two ways"),
        ("01 02", "optical", "two ways"),
        ("0x12", "optical", "two ways"),
        ("A1B2C3D4E5F6", "omak", "6-byte"),
        (" " + "K" * 19, "optical", "blank"),
        ("A" * 38, "mep", "2 missing"),
        ("A" * 41, "mep", "1 too many"),
        ("A" * 31 + "G", "mep", "character 32"),
        ("short", "mep", "5 characters"),
        ("AB12", "mep", "4 hex digits"),
        ("K" * 21, "optical", "21 characters"),
        ("01" * 16, "omak", "32 hex digits"),
        ("3141592653589793", "aes", "16 hex digits"),
        ("“" + "K" * 19, "mep", "character 1 "),
        ("ascii:K\u00a0", "optical", "character 2 "),
        ("hex:0102", "mep", "4 hex digits"),
        ("hex:zz", "mep", "no hex digit"),
        (bytes([0xFF] * 17), "mep", "byte 0"),
        (bytes(16), "omak", "16|not printable"),
    ],
)
def test_what_fits_no_or_two_readings_is_refused_with_a_hint(text: str | bytes, use: KeyUse, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_key(text, use=use)
    assert caught.value.hint


@few
@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=20, max_size=20))
def test_twenty_characters_are_twenty_bytes_or_refused_as_ambiguous(text: str) -> None:
    if text.lower().startswith(("ascii:", "hex:")):
        return
    with contextlib.suppress(ConfigError):
        assert parse_key(text, use="mep").secret() in (text.encode(), text.strip().encode())
    if text.strip():
        assert parse_key("ascii:" + text, use="mep").secret() == text.encode()


@few
@given(st.sampled_from([16, 20]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_hex_and_bytes_give_the_same_key(octets: bytes) -> None:
    key = parse_key(octets, use="mep")
    assert key == parse_key(octets.hex(), use="mep") == parse_key("HEX:" + octets.hex(" ").upper(), use="mep")
    assert key.for_mep() == octets[:16]


@few
@given(
    st.one_of(st.text(max_size=50), st.binary(max_size=50)), st.sampled_from(["mep", "optical", "omak", "aes", "any"])
)
def test_any_input_gives_a_key_or_our_error_without_its_characters(given: str | bytes, use: KeyUse) -> None:
    try:
        key = parse_key(given, use=use)
    except ConfigError as error:
        refusal = error
    else:
        assert len(key) in (12, 16, 20)
        return
    told = str(refusal) + refusal.hint
    assert refusal.__context__ is None
    if len(given) > 8:
        assert (given if isinstance(given, str) else given.hex()) not in told


def test_nothing_shows_a_key() -> None:
    key = parse_key(LOOKS_LIKE_HEX, use="mep")
    for shown in (repr(key), str(key), f"{key}", f"{key!s:>60}", f"{key:x}", "{}".format(key), repr([key]), repr(vars)):  # noqa: UP032
        assert LOOKS_LIKE_HEX not in shown
        assert LOOKS_LIKE_HEX.encode().hex() not in shown.lower()
    assert repr(key) == "Key(20 bytes, hidden)"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        bytes(key)  # type: ignore[call-overload]  # a key must not turn into bytes unasked
    assert copy.copy(key) is copy.deepcopy(key) is key


def test_errors_do_not_carry_the_key() -> None:
    secret = "S3CRET-KEY-OF-A-METER-TOO-LONG"
    with pytest.raises(ConfigError) as caught:
        parse_key(secret, use="mep")
    assert secret not in "".join(traceback.format_exception(caught.value))


def test_equality_and_hash() -> None:
    key = Key(bytes(16))
    assert key == Key(bytes(16))
    assert key != Key(bytes(20))
    assert key != bytes(16)
    assert len({key, Key(bytes(16)), Key(bytes(20))}) == 2


def test_each_use_takes_its_own_bytes() -> None:
    long, short, omak = Key(bytes(range(20))), Key(bytes(range(16))), Key(bytes(range(12)))
    assert long.for_mep() == short.for_mep() == bytes(range(16))
    assert long.for_optical() == bytes(range(20))
    assert short.for_optical() == bytes(range(16)) + bytes(4)
    assert omak.for_omak() == bytes(range(12))
    assert short.for_aes() == bytes(range(16))
    for call in (omak.for_mep, long.for_omak, long.for_aes, lambda: Key(bytes(17))):
        with pytest.raises(ConfigError):
            call()


@pytest.mark.parametrize(
    "octets",
    [
        bytes([1] * 16),
        bytes([1] * 20),
        bytes(20),
        b"\xff" * 16,
        b"\xdf" * 12,
        b"0" * 20,
        bytes(range(16)),
        bytes([1] * 16 + [7] * 4),
    ],
)
def test_known_default_keys_are_recognised(octets: bytes) -> None:
    assert default_key(Key(octets))


def test_an_ordinary_key_is_no_default() -> None:
    assert default_key(parse_key(LOOKS_LIKE_HEX)) == ""


def test_kinds() -> None:
    assert {use_of_kind(kind.lower()) for kind in KEY_KINDS} == {"mep", "optical", "omak", "aes"}
    with pytest.raises(ConfigError):
        use_of_kind("XK")


@pytest.mark.parametrize(
    "given",
    ["A5C30F1E2D78", "a5 c3 0f 1e 2d 78", "hex:a5c30f1e2d78", "0xA5C30F1E2D78\n", bytes.fromhex("a5c30f1e2d78")],
)
def test_the_key_of_a_domain_is_six_bytes(given: str | bytes) -> None:
    key = parse_key(given, use="lon")
    assert key.for_lon() == bytes.fromhex("a5c30f1e2d78")
    for call in (key.for_mep, key.for_optical, key.for_omak, Key(bytes(12)).for_lon):
        with pytest.raises(ConfigError):
            call()


@pytest.mark.parametrize("given", ["sixchr", "ascii:sixchr", "A5C30F1E2D7", "A5C30F1E2D7800", bytes(5), ""])
def test_what_is_no_key_of_a_domain_is_refused(given: str | bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_key(given, use="lon")
    assert "12 hex digits" in caught.value.hint or "ASCII" in str(caught.value) or "printable" in str(caught.value)
