"""Timer codes: the rows of digest 3.5."""

from __future__ import annotations

import pytest

from osgp.lon.timers import BUFFER_COUNTS, BUFFER_SIZES, LONG_S, RECEIVE_S, TRANSMIT_S, code_for
from osgp.wire.errors import BadValue


def test_the_rows_are_those_of_the_digest() -> None:
    transmit = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072]
    receive = [128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576]
    long = [4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152]
    assert [round(each * 1000) for each in TRANSMIT_S] == transmit
    assert [round(each * 1000) for each in RECEIVE_S] == receive
    assert [round(each * 1000) for each in LONG_S] == long
    assert len(BUFFER_SIZES) == len(BUFFER_COUNTS) == 16


@pytest.mark.parametrize(
    ("seconds", "row", "code"),
    [
        (0.0, TRANSMIT_S, 0),
        (0.016, TRANSMIT_S, 0),
        (0.017, TRANSMIT_S, 1),
        (3.072, TRANSMIT_S, 15),
        (2.0, RECEIVE_S, 8),
    ],
)
def test_the_smallest_code_that_waits_long_enough(seconds: float, row: tuple[float, ...], code: int) -> None:
    assert code_for(seconds, row) == code


def test_beyond_the_row_there_is_no_code() -> None:
    with pytest.raises(BadValue, match=r"the longest is 49\.152 s"):
        code_for(50.0, LONG_S)
