"""The service codec: what it writes it reads again, with and without checksum, and it never raises anything foreign."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    Request,
    ResponseCode,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    response_error,
    table_checksum,
)
from osgp.wire.errors import BadCrc, BadValue, DecodeError, ResponseError, Truncated, UnknownCode

TABLE = st.integers(0, 0xFFFF)
OFFSET = st.integers(0, 0xFFFFFF)
DATA = st.binary(max_size=300)
REQUEST = st.one_of(
    st.builds(FullRead, TABLE),
    st.builds(PartialRead, TABLE, OFFSET, st.integers(0, 0xFFFF)),
    st.builds(FullWrite, TABLE, DATA),
    st.builds(PartialWrite, TABLE, OFFSET, DATA),
)


@pytest.mark.parametrize(
    ("request_", "plain"),
    [
        (FullRead(23), "300017"),
        (FullRead(2052, 0x200), "3008040200"),
        (PartialRead(23, 0x010203, 44), "3f0017010203002c"),
        (FullWrite(7, bytes.fromhex("0a0005")), "40000700030a0005"),
        (PartialWrite(2098, 30, b"\x01"), "4f083200001e000101"),
    ],
)
def test_known_messages(request_: Request, plain: str) -> None:
    message = encode_request(request_, checksum=False)
    assert message.hex() == plain
    assert decode_request(message, checksum=False) == request_


@pytest.mark.parametrize(
    ("request_", "with_sum"),
    [
        (FullWrite(7, bytes.fromhex("0a0005")), "40000700030a0005f1"),
        (PartialWrite(2098, 30, b"\x01"), "4f083200001e000101ff"),
        (FullWrite(7, b""), "400007000000"),
        (FullRead(23), "300017"),
    ],
)
def test_the_optical_door_signs_table_data_only(request_: Request, with_sum: str) -> None:
    message = encode_request(request_, checksum=True)
    assert message.hex() == with_sum
    assert decode_request(message, checksum=True) == request_


@given(request=REQUEST, checksum=st.booleans())
def test_requests_survive(request: Request, checksum: bool) -> None:
    assert decode_request(encode_request(request, checksum=checksum), checksum=checksum) == request


@given(table=TABLE, length=st.integers(0, 0xFFFF))
def test_a_full_read_with_length_survives(table: int, length: int) -> None:
    request = FullRead(table, length)
    assert decode_request(encode_request(request, checksum=False), checksum=False) == request


@given(request=REQUEST, checksum=st.booleans(), cut=st.integers(0, 400))
def test_truncated_requests_give_our_error_or_a_shorter_request(request: Request, checksum: bool, cut: int) -> None:
    message = encode_request(request, checksum=checksum)
    short = message[: max(0, len(message) - 1 - cut)]
    try:
        got = decode_request(short, checksum=checksum)
    except Truncated:
        return
    assert not checksum
    assert isinstance(got, FullWrite | PartialWrite)
    assert isinstance(request, FullWrite | PartialWrite)
    assert got.count == len(request.data) > len(got.data)
    assert request.data.startswith(got.data)


@given(
    request=st.builds(FullWrite, TABLE, st.binary(min_size=1, max_size=40)),
    place=st.integers(0),
    flip=st.integers(1, 255),
)
def test_damaged_data_fail_their_checksum(request: FullWrite, place: int, flip: int) -> None:
    message = bytearray(encode_request(request, checksum=True))
    message[5 + place % (len(message) - 5)] ^= flip
    with pytest.raises(BadCrc) as caught:
        decode_request(bytes(message), checksum=True)
    assert caught.value.field == "cksum"
    assert caught.value.bit_offset == 8 * (len(message) - 1)


@given(message=st.binary(max_size=40), checksum=st.booleans())
def test_any_bytes_give_a_request_or_our_error(message: bytes, checksum: bool) -> None:
    try:
        request = decode_request(message, checksum=checksum)
    except DecodeError:
        return
    again = encode_request(request, checksum=checksum)
    assert decode_request(again, checksum=checksum) == request
    assert message.startswith(again) or not checksum


@pytest.mark.parametrize("code", sorted(set(range(256)) - {0x30, 0x3F, 0x40, 0x4F}))
def test_other_services_are_left_to_their_door(code: int) -> None:
    with pytest.raises(UnknownCode):
        decode_request(bytes([code, 0, 1]), checksum=True)


@pytest.mark.parametrize(
    "request_",
    [
        FullRead(0x10000),
        FullRead(-1),
        PartialRead(1, 1 << 24, 1),
        PartialRead(1, 0, 0x10000),
        FullWrite(1, bytes(65536)),
    ],
)
def test_numbers_that_do_not_fit_are_refused(request_: Request) -> None:
    with pytest.raises(BadValue):
        encode_request(request_, checksum=True)


@given(data=DATA, checksum=st.booleans())
def test_read_answers_survive(data: bytes, checksum: bool) -> None:
    message = encode_response(ResponseCode.OK, data, checksum=checksum)
    assert decode_response(message, checksum=checksum, read=True) == (0, data)
    assert len(message) == 3 + len(data) + checksum
    if checksum:
        assert (sum(data) + message[-1]) % 256 == 0


@given(data=DATA, checksum=st.booleans(), cut=st.integers(0, 400))
def test_truncated_answers_give_our_error(data: bytes, checksum: bool, cut: int) -> None:
    message = encode_response(ResponseCode.OK, data, checksum=checksum)
    with pytest.raises(Truncated):
        decode_response(message[: max(0, len(message) - 1 - cut)], checksum=checksum, read=True)


@given(data=st.binary(min_size=1, max_size=40), place=st.integers(0), flip=st.integers(1, 255))
def test_damaged_answers_fail_their_checksum(data: bytes, place: int, flip: int) -> None:
    message = bytearray(encode_response(0, data, checksum=True))
    message[3 + place % (len(message) - 3)] ^= flip
    with pytest.raises(BadCrc):
        decode_response(bytes(message), checksum=True, read=True)


@pytest.mark.parametrize("code", range(1, 256))
def test_every_code_is_returned_and_has_an_error(code: int) -> None:
    message = encode_response(code, checksum=True)
    assert message == bytes([code])
    assert decode_response(message + b"rest", checksum=True, read=True) == (code, b"")
    error = response_error(code, "read BT23")
    assert isinstance(error, ResponseError)
    assert error.code == code
    assert error.hint
    assert str(error).startswith("read BT23: ")
    assert f"code {code:02X}" in str(error)
    assert (type(error) is ResponseError) == (code > 0x0C)


def test_every_named_code_has_a_text_of_its_own() -> None:
    texts = {response_error(code).message for code in ResponseCode if code}
    assert len(texts) == len(ResponseCode) - 1


def test_an_answer_to_a_write_has_no_data() -> None:
    assert decode_response(b"\x00", checksum=True, read=False) == (0, b"")
    with pytest.raises(Truncated):
        decode_response(b"\x00", checksum=True, read=True)
    with pytest.raises(BadValue):
        encode_response(0, bytes(65536), checksum=False)


@given(message=st.binary(max_size=40), checksum=st.booleans(), read=st.booleans())
def test_any_bytes_give_an_answer_or_our_error(message: bytes, checksum: bool, read: bool) -> None:
    try:
        code, data = decode_response(message, checksum=checksum, read=read)
    except DecodeError:
        return
    assert code == message[0]
    assert data == b"" or message[3:].startswith(data)


@given(DATA)
def test_checksum_makes_the_sum_zero(data: bytes) -> None:
    assert (sum(data) + table_checksum(data)) & 0xFF == 0
