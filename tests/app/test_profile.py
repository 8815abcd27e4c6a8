"""The profile, and what machines need from memory and verdicts."""

from __future__ import annotations

import pytest

from osgp.app.memory import Prefixed, RamMemory
from osgp.app.profile import OsgpProfile
from osgp.app.verdict import REASONS, Accepted, Answered
from osgp.wire.errors import ConfigError


def test_a_network_that_differs_says_so_in_toml() -> None:
    profile = OsgpProfile.from_toml(
        'name = "elsewhere"\n[codes]\nrequest = 0x20\n[labels]\npsk = "X"\n[limits]\nchallenge_timeout_s = 5\n'
    )
    assert (profile.name, profile.codes.request, profile.codes.broadcast) == ("elsewhere", 0x20, 0x12)
    assert (profile.labels.psk, profile.labels.kek) == ("X", "OSGP/KEK")
    assert profile.limits.challenge_timeout_s == 5.0
    assert OsgpProfile.from_toml("") == OsgpProfile()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "no TOML"),
        ("code = 1", "no code"),
        ("[codes]\nrequests = 1", "codes.requests"),
        ("codes = 1", "is a table"),
        ('[codes]\nrequest = "x"', "is int, not str"),
        ("[limits]\nmax_counter = true", "is int, not bool"),
        ("[codes]\nrequest = 0x12", "same code"),
        ("[codes]\nfcm = 0x11", "same code"),
        ("[codes]\nrequest = 0x21", "odd"),
        ("[codes]\nrequest = 0x100", "no byte"),
        ("[nonces]\nresponse = 1", "nonces"),
        ("[limits]\nmax_apdu = 4", "max_apdu"),
        ("[limits]\ncounter_block = 0", "counter_block"),
    ],
)
def test_a_bad_profile_is_refused_with_the_name_of_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        OsgpProfile.from_toml(text)


def test_a_part_of_a_memory_does_not_touch_the_other_parts() -> None:
    memory = RamMemory()
    one, two = Prefixed(memory, "one."), Prefixed(memory, "two.")
    one.save({"seq": b"1"})
    assert (one.load("seq"), two.load("seq")) == (b"1", None)
    assert memory.values() == {"one.seq": b"1"}


def test_reprs_show_no_contents() -> None:
    secret = b"\xaa\xbb\xcc"
    for value in (Accepted(secret), Answered(secret, "repeat"), RamMemory({"ku": secret})):
        assert "\\xaa" not in repr(value)
        assert "aabbcc" not in repr(value)


def test_the_reasons_of_the_vectors_are_known() -> None:
    named = "length unknown-slot bad-tag counter broadcast-window group not-allowed epoch suite bad-mac generation token token-counter"
    assert set(named.split()) <= set(REASONS)
