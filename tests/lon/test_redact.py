"""Keys leave frames before frames are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.crc import with_crc
from osgp.lon.ltep import AlternateKey, AlternateKeyKind, LongHop, Ltep, LtepHeader, TargetControl, TransmitControl
from osgp.lon.npdu import NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.redact import MASK, redacted, redacted_apdu
from osgp.lon.tpdu import VERSIONS, Spdu, SpduHeader, Tpdu, TpduHeader

KEY = bytes.fromhex("c1c2c3c4c5c6")
"""Bytes that appear nowhere else in these frames."""
STARS = bytes((MASK,)) * 6
UPDATE_DOMAIN = bytes.fromhex("6301 4a0000000000 01 a1 01") + KEY
DOMAIN = bytes.fromhex("2a 490000000000 01 94 01") + KEY
UPDATE_KEY = b"\x65\x00" + KEY
OMA_UPDATE = b"\x60\x0a\x01" + KEY + KEY
OMA_REPORT = b"\x20\x09" + KEY + KEY


def frame(apdu: bytes, *, response: bool = False, pdu_type: int = PduType.SPDU, version: int = 0) -> bytes:
    """A frame of 1/10 to 1/20 in domain 49 around an APDU."""
    if pdu_type == PduType.SPDU:
        spdu = Spdu(header=SpduHeader(type=2 if response else 0, transaction=1), transaction_low=7, apdu=apdu)
        pdu = spdu.encode(VERSIONS[version])
    elif pdu_type == PduType.TPDU:
        pdu = Tpdu(header=TpduHeader(type=0, transaction=1), transaction_low=7, apdu=apdu).encode(VERSIONS[version])
    else:
        pdu = apdu
    control = NetworkControl(domain_length=1, address_format=2, pdu_type=pdu_type, version=version)
    npdu = Npdu(
        control=control,
        source_subnet=1,
        source_node=NodeByte(0x8A),
        destination_subnet=1,
        destination_node=NodeByte(0x94),
        domain=b"I",
        pdu=pdu,
    )
    return b"\x01" + npdu.encode()


def proxied(apdu: bytes, *, key: bytes | None = None, hops: int = 2) -> bytes:
    """An APDU inside an enhanced proxy message."""
    return Ltep(
        header=LtepHeader(count=hops),
        long_hops=[LongHop(subnet=1, node=30 + number) for number in range(hops)],
        transmit=TransmitControl(timer=9, retry=3) if hops else None,
        control=TargetControl(target_type=1, service=3, mode=0 if key is None else 2),
        alternate_key=None
        if key is None
        else AlternateKey(kind=AlternateKeyKind(open_media=int(len(key) == 12)), delta=key),
        target_subnet=1,
        target_node=50,
        apdu=apdu,
    ).encode()


@pytest.mark.parametrize("apdu", [UPDATE_DOMAIN, UPDATE_KEY, OMA_UPDATE], ids=["domain", "key", "open media"])
@pytest.mark.parametrize("pdu_type", [PduType.APDU, PduType.TPDU, PduType.SPDU])
@pytest.mark.parametrize("version", [0, 2])
def test_keys_in_requests_are_masked_whatever_carries_them(apdu: bytes, pdu_type: int, version: int) -> None:
    raw = frame(apdu, pdu_type=pdu_type, version=version)
    shown = redacted(raw)
    assert shown == raw.replace(KEY, STARS)
    assert KEY not in shown
    assert len(shown) == len(raw)


@pytest.mark.parametrize(
    "apdu", [UPDATE_DOMAIN, UPDATE_KEY, OMA_UPDATE, DOMAIN], ids=["domain", "key", "open media", "answer"]
)
@pytest.mark.parametrize("low", [b"", b"\x07", b"\x65", b"\x63", b"\x2a"], ids=["short", "07", "65", "63", "2A"])
@pytest.mark.parametrize("version", [1, 3])
def test_frames_of_versions_that_nobody_speaks_keep_no_key_in_either_reading(
    apdu: bytes, low: bytes, version: int
) -> None:
    types = (0x21,) if apdu is DOMAIN else (0x01, 0x81, 0x51)
    for first in types:
        for members in (b"\x02\x01\x01", b"\x09" + b"\xff" * 9) if first == 0x51 else (b"",):
            raw = frame(bytes((first,)) + low + members + apdu, pdu_type=PduType.APDU)
            raw = raw[:1] + bytes((NetworkControl(raw[1], version=version, pdu_type=PduType.SPDU),)) + raw[2:]
            shown = redacted(raw)
            assert KEY not in shown
            assert shown[-6:] == STARS
            assert len(shown) == len(raw)


@pytest.mark.parametrize("version", [0, 2])
def test_a_member_list_longer_than_ours_may_be_hides_no_key(version: int) -> None:
    # One stack takes such lists: the key behind is one.
    for length in (9, 64, 255):
        apdu = b"\x51" + (b"\x07" if version else b"") + bytes((length,)) + bytes(length) + UPDATE_KEY
        raw = frame(apdu, pdu_type=PduType.APDU)
        raw = raw[:1] + bytes((NetworkControl(raw[1], version=version, pdu_type=PduType.SPDU),)) + raw[2:]
        assert redacted(raw) == raw.replace(KEY, STARS)


@pytest.mark.parametrize("apdu", [DOMAIN, OMA_REPORT], ids=["domain", "open media"])
def test_keys_in_responses_are_masked(apdu: bytes) -> None:
    raw = frame(apdu, response=True)
    assert redacted(raw) == raw.replace(KEY, STARS)
    assert redacted_apdu(apdu, True) == apdu.replace(KEY, STARS)
    assert redacted(with_crc(raw))[:-2] == raw.replace(KEY, STARS), "a CRC behind the frame is no hiding place"


def test_what_only_looks_like_a_key_is_left() -> None:
    same_codes = frame(b"\x2a" + KEY * 2 + b"abc")
    assert redacted(same_codes) == same_codes, "an application message with a response's code"
    longer = frame(b"\x2a" + KEY * 4, response=True)
    assert redacted(longer) == longer, "a longer response is no domain entry"
    for apdu in (b"\x6a\x00", b"\x64\x01", b"\x65", b"\x60\x09", b"\x51", b""):
        assert redacted_apdu(apdu, False) == apdu
    authentication = frame(b"\x60\x0a\x00" + KEY, pdu_type=PduType.AUTHPDU)
    assert redacted(authentication) == authentication


@pytest.mark.parametrize("key", [KEY, KEY + KEY], ids=["6 bytes", "12 bytes"])
@pytest.mark.parametrize("hops", [0, 1, 15])
def test_the_alternate_key_of_a_proxy_message_is_masked(key: bytes, hops: int) -> None:
    raw = frame(proxied(b"\x51", key=key, hops=hops))
    assert redacted(raw) == raw.replace(KEY, STARS)
    assert KEY not in redacted(raw)


@pytest.mark.parametrize("apdu", [UPDATE_DOMAIN, UPDATE_KEY, OMA_UPDATE])
def test_keys_inside_proxied_and_escaped_messages_are_masked(apdu: bytes) -> None:
    for wrapped in (
        proxied(apdu),
        proxied(apdu, key=KEY),
        proxied(proxied(apdu, hops=0), key=KEY),
        b"\x7e" + apdu,
        proxied(b"\x7e" + apdu),
    ):
        shown = redacted_apdu(wrapped, False)
        assert shown == wrapped.replace(KEY, STARS)
        assert KEY not in shown


def test_messages_nested_beyond_sense_are_masked_as_a_whole() -> None:
    apdu = UPDATE_KEY
    for _ in range(40):
        apdu = proxied(apdu, hops=0)
    shown = redacted_apdu(apdu, False)
    assert KEY not in shown
    assert len(shown) == len(apdu)


def test_a_key_cut_off_by_the_end_of_a_capture_is_masked_as_far_as_it_goes() -> None:
    for whole, response in ((UPDATE_DOMAIN, False), (UPDATE_KEY, False), (OMA_UPDATE, False), (DOMAIN, True)):
        place = whole.index(KEY)
        for end in range(place + 1, place + 6):
            shown = redacted_apdu(whole[:end], response)
            assert shown == whole[:place] + STARS[: end - place]
    wrapped = proxied(b"\x51", key=KEY, hops=1)
    place = wrapped.index(KEY)
    for end in range(place + 1, place + 6):
        assert redacted_apdu(wrapped[:end], False) == wrapped[:place] + STARS[: end - place]


@given(st.binary(max_size=60))
def test_any_bytes_keep_their_length(raw: bytes) -> None:
    shown = redacted(raw)
    assert len(shown) == len(raw)
    assert all(new in (old, MASK) for old, new in zip(raw, shown, strict=True))
    if len(raw) > 1 and NetworkControl(raw[1]).version in (0, 2):  # of others one reading may make the other look new
        assert redacted(shown) == shown
    for response in (False, True):
        assert len(redacted_apdu(raw, response)) == len(raw)
