"""Prints a digest of simulated captures at both fidelities: two interpreters must print the same (``make second``)."""

from __future__ import annotations

import hashlib
import io
import sys

from osgp.ports.capture import CaptureWriter
from osgp.sim.street import Street
from tests.sim.test_street import CURVES, captured, loud_grid


def in_samples(seconds: float = 8.0) -> bytes:
    """The capture of a few houses whose packets are received from samples."""
    stream = io.BytesIO()
    with CaptureWriter(stream, carrier="lpdu") as capture:
        grid = loud_grid(5, background_dbuv=60.0)
        Street(grid, seed=1, fidelity="waveform", curves=CURVES, capture=capture).run(seconds)
    return stream.getvalue()


if __name__ == "__main__":
    sys.stdout.write(hashlib.sha256(captured() + in_samples()).hexdigest() + "\n")
