"""Group ``crypto``: the OMA digest against plain C, per call and in bulk.

The peer is C of our own, below, written from the documents in the plainest way and compiled at -O2 when the group runs:
per call through ctypes, as a Python program would use a C library, and as a loop in C over all messages. Goals (project
choice): per call at most 1.2 times the time of the C call; batch at least 2.5 times, hoped for 10 times the C loop.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from osgp.bench.frame import Bench, PeerMissing, Row, group
from osgp.crypto import legacy

__all__ = ["crypto"]

C_SOURCE = r"""
#include <stddef.h>
#include <stdint.h>

void digest(const uint8_t *key, const uint8_t *message, size_t length, uint8_t *d)
{
    size_t at = 0;
    for (int i = 0; i < 8; i++)
        d[i] = 0;
    while (at < length) {
        for (int k = 0; k < 18; k++) {
            uint8_t bits = key[k % 12];
            for (int s = 0; s < 8; s++) {
                int position = 7 - s;
                uint8_t m = at < length ? message[at] : 0;
                uint8_t t = (uint8_t)~(d[position] + position);
                uint8_t r;
                if (bits >> s & 1)
                    r = (uint8_t)(t << 1 | t >> 7);
                else
                    r = (uint8_t)-(uint8_t)(t >> 1 | t << 7);
                d[position] = (uint8_t)(d[(position + 1) & 7] + m + r);
                at++;
            }
        }
    }
}

void digests(const uint8_t *key, const uint8_t *messages, size_t length, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++)
        digest(key, messages + i * length, length, out + 8 * i);
}
"""

KEY = bytes.fromhex("a1b2c3d4e5f60718293a4b5c")
MESSAGE = bytes.fromhex("0202003000037f30ea6d0000000d0020980031c30008000000000011")
"""28 bytes: the span of a small power-line response, the length that nearly all traffic has."""

COUNT = 20_000


def _built(folder: str) -> tuple[ctypes.CDLL, str]:
    """The compiled peer and the compiler's version. Raises PeerMissing when there is no working compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise PeerMissing("C compiler")
    source, library = Path(folder, "digest.c"), Path(folder, "digest.so")
    source.write_text(C_SOURCE)
    try:
        subprocess.run(
            [compiler, "-O2", "-std=c99", "-shared", "-fPIC", "-o", str(library), str(source)],
            check=True,
            capture_output=True,
        )
        loaded = ctypes.CDLL(str(library))
        told = subprocess.run(
            [compiler, "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = f"C compiler does not work here ({type(error).__name__})"
    else:
        return loaded, told.stdout.strip()
    raise PeerMissing(reason)


def _per_call(library: ctypes.CDLL) -> Callable[[bytes, bytes], bytes]:
    """The C digest as a Python function from bytes to bytes, in the quickest way that ctypes has."""
    function: Any = library.digest
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    function.restype = None
    out = ctypes.create_string_buffer(8)

    def digest(key: bytes, message: bytes) -> bytes:
        function(key, message, len(message), out)
        return out.raw

    return digest


def _times(function: Callable[[bytes, bytes], bytes], count: int) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(count):
            function(KEY, MESSAGE)

    return repeat


@group("crypto")
def crypto(bench: Bench) -> Iterator[Row]:
    """The rows: per call, batch from an array, batch from a list of bytes, and the plain-Python fallback."""
    was_fast = legacy.fast_ready()
    try:
        yield from _against(bench, *_peers())
    finally:
        if was_fast:
            legacy.prefer_fast()
        else:
            legacy.prefer_plain()


Side = Callable[[], object]


def _peers() -> tuple[Side | PeerMissing, Side | PeerMissing, str]:
    """The C peer per call (1000 digests) and in a loop (COUNT digests), and its version; or why there is none."""
    try:
        # The folder may go before the library is unloaded: loaded code does not need its file.
        with tempfile.TemporaryDirectory() as folder:
            library, version = _built(folder)
    except PeerMissing as missing:
        return missing, missing, ""
    c_digest = _per_call(library)
    if c_digest(KEY, MESSAGE) != legacy.oma_digest(KEY, MESSAGE):
        wrong = PeerMissing("the C peer built here computes another digest")
        return wrong, wrong, ""
    loop: Any = library.digests
    loop.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_char_p]
    loop.restype = None
    lot = MESSAGE * COUNT
    out = ctypes.create_string_buffer(8 * COUNT)
    return _times(c_digest, 1000), lambda: loop(KEY, lot, len(MESSAGE), COUNT, out), version


def _against(
    bench: Bench, per_call: Callable[[], object] | PeerMissing, batch: Callable[[], object] | PeerMissing, version: str
) -> Iterator[Row]:
    legacy.prefer_fast()
    yield bench.compare(
        "OMA digest, per call",
        _times(legacy.oma_digest, 1000),
        per_call,
        work=1000,
        unit="digests/s",
        floor=1 / 1.2,
        peer_name="C at -O2, called through ctypes",
        peer_version=version,
    )
    try:
        import numpy as np
    except ImportError:
        pass  # without NumPy there are no batches of ours; the rows are left out rather than measured with something else
    else:
        lot = [MESSAGE] * COUNT
        table = np.frombuffer(b"".join(lot), np.uint8).reshape(COUNT, len(MESSAGE))
        for name, messages, floor, stretch in (
            ("OMA digest, batch with one key (array)", table, 2.5, 10.0),
            ("OMA digest, batch with one key (list of bytes)", lot, None, None),
        ):
            yield bench.compare(
                name,
                lambda messages=messages: legacy.digest_batch(KEY, messages),  # type: ignore[misc]  # default binds the loop's value
                batch,
                work=COUNT,
                unit="digests/s",
                floor=floor,
                stretch=stretch,
                peer_name="C at -O2, loop over all messages",
                peer_version=version,
            )
    legacy.prefer_plain()
    yield bench.compare(
        "OMA digest, plain Python",
        _times(legacy.oma_digest, 100),
        per_call,
        work=100,
        peer_work=1000,
        unit="digests/s",
        peer_name="C at -O2, called through ctypes",
        peer_version=version,
    )
