"""Group ``phy``: the power-line receiver against real time, and against a receive chain of GNU Radio on the same file.

The file is a continuous run of long packets on the primary carrier in white noise, Ec/N0 of 5 dB, as raw float32. Ours searches it on
both carriers, blanks, tracks, decodes and tests the CRC. GNU Radio gets one carrier and ends with decided bits: mixed to baseband and
filtered with ``freq_xlating_fir_filter``, ``agc2``, ``symbol_sync``, ``costas_loop``, ``constellation_decoder``. There are two of it,
found by trying detectors, bandwidths and decimations: the one that loses least (matched filter of a whole bit in front), and the
fastest whose loss is near (a short filter in front, the matched filter in the synchroniser). The loss, in dB against the theory of
BPSK, is told in the row; GNU Radio's is counted packet by packet, each with the shift and the sign that fit best.

Packets as rows are compared with real time as well. Seconds are the processor's, on all of its cores: GNU Radio runs a thread for each
block. It runs under the system's interpreter, Debian package ``gnuradio``; its start does not count.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from osgp.bench.frame import Bench, PeerMissing, Row, group

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["phy"]

EC_N0_DB = 5.0
PACKETS = 60
REAL_TIME, ROWS_REAL_TIME = 600.0, 2000.0
SYSTEM_PYTHON = "/usr/bin/python3"
HOW_TO = "apt install gnuradio"
CHAINS = (("least loss", 96, "SIGNAL_TIMES_SLOPE_ML", 0.2), ("fastest", 6, "GARDNER", 1.0))
"""Name, samples of the filter in front (96: a bit), detector of timing errors, its gain."""
DECIMATION, TIMING_BANDWIDTH, PHASE_BANDWIDTH = 6, 0.01, 0.01

GNURADIO_SOURCE = """
import sys, time
from gnuradio import analog, blocks, digital, filter as grfilter, gr

source, target, rate, carrier, per_bit, taps, decimation, detector, gain, timing_bw, phase_bw = sys.argv[1:]
taps, decimation, samples = int(taps), int(decimation), int(per_bit) // int(decimation)
bpsk = digital.constellation_bpsk().base()
top = gr.top_block()
read = blocks.file_source(gr.sizeof_float, source, False)
mix = grfilter.freq_xlating_fir_filter_fcf(decimation, [1.0 / taps] * taps, float(carrier), float(rate))
level = analog.agc2_cc(0.01, 0.001, 1.0, 1.0)
arms = 32
# A rectangular pulse for the arms, with something to differ from on both sides.
pulse = [0.0] * arms + [1.0 / samples] * (arms * samples) + [0.0] * arms
resampler, pulse = (digital.IR_MMSE_8TAP, []) if taps == int(per_bit) else (digital.IR_PFB_MF, pulse)
timing = digital.symbol_sync_cc(getattr(digital, "TED_" + detector), samples, float(timing_bw), 1.0, float(gain), 0.01, 1, bpsk,
                                resampler, arms, pulse)
phase = digital.costas_loop_cc(float(phase_bw), 2, False)
top.connect(read, mix, level, timing, phase, blocks.file_sink(gr.sizeof_gr_complex, target))
top.connect(phase, digital.constellation_decoder_cb(bpsk), blocks.null_sink(1))
before = time.process_time()
top.run()
print(time.process_time() - before, gr.version())
"""


class ProcessorClock:
    """Processor time of this process, and what the chain in another process says it took."""

    def __init__(self) -> None:
        self.elsewhere_s = 0.0

    def __call__(self) -> float:
        return time.process_time() + self.elsewhere_s


class Recording:
    """The file: raw float32 in a folder, with the line bits of its packets."""

    def __init__(self, folder: str, packets: int = PACKETS) -> None:
        import numpy as np

        from osgp.plc.frame import line_bits
        from osgp.plc.modulate import modulate
        from osgp.plc.params import OSGP

        rng = np.random.default_rng(7)
        lpdus = [b"\x01" + bytes(rng.integers(0, 256, OSGP.max_lpdu - 1).tolist()) for _ in range(packets)]
        self.bits = np.stack([line_bits(lpdu) for lpdu in lpdus])
        self.lead = 5000
        quiet = (np.zeros(self.lead, np.float32), np.zeros(3000, np.float32))
        samples = np.concatenate((quiet[0], *(modulate(lpdu) for lpdu in lpdus), quiet[1]))
        sigma = math.sqrt(OSGP.samples_per_bit / 4) * 10 ** (-EC_N0_DB / 20)
        samples += np.float32(sigma) * rng.standard_normal(len(samples), dtype=np.float32)
        self.path, self.profile, self.samples = Path(folder, "line.f32"), OSGP, len(samples)
        (0.1 * samples).astype(np.float32).tofile(self.path)

    @property
    def seconds(self) -> float:
        """How long it takes on the line."""
        return self.samples / self.profile.sample_rate_hz

    def errors(self, number: int, soft: NDArray[Any], first: int) -> tuple[int, int]:
        """Bits of a packet that are wrong, from its ``first`` on, and how many there were."""
        wanted = 1 - 2.0 * self.bits[number, first : first + len(soft)]
        return int(((soft[: len(wanted)] >= 0) != (wanted > 0)).sum()), len(wanted)


def loss_db(wrong: int, count: int) -> float:
    """By how much less noise the theory of BPSK has so many errors."""
    if not 0 < 2 * wrong < count:
        return math.inf if wrong else 0.0
    return EC_N0_DB - 10 * math.log10(NormalDist().inv_cdf(wrong / count) ** 2 / 2)


# ---- ours ------------------------------------------------------------------------------------------------------------
def receive(recording: Recording) -> int:
    """Packets received from the file, read as it goes."""
    import numpy as np

    from osgp.plc.modem import Modem

    modem = Modem(recording.profile)
    buffer = np.empty(1 << 16, np.float32)
    with recording.path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer.data):
            modem.receive(buffer[: size // buffer.itemsize])
    return modem.packets


def our_loss_db(recording: Recording) -> float:
    """Of all line bits behind a preamble, in packets that came through and others."""
    import numpy as np

    from osgp.plc.events import Dropped, PacketReceived
    from osgp.plc.modem import Modem

    modem = Modem(recording.profile, symbols=True)
    modem.receive(np.fromfile(recording.path, np.float32))
    size = recording.bits.shape[1] * recording.profile.samples_per_bit
    wrong = count = 0
    for event in modem.events():
        packet = event.packet if isinstance(event, Dropped) else event
        if isinstance(packet, PacketReceived) and packet.symbols is not None:
            number = round((packet.start_sample - recording.lead) / size)
            more, bits = recording.errors(number, packet.symbols.real, len(recording.profile.preamble))
            wrong, count = wrong + more, count + bits
    return loss_db(wrong, count)


# ---- GNU Radio -------------------------------------------------------------------------------------------------------
class GnuRadio:
    """A chain, run in a process of its own. Raises PeerMissing when it does not run here."""

    def __init__(self, recording: Recording, folder: str, chain: tuple[str, int, str, float]) -> None:
        self._out = Path(folder, "symbols.c64")
        profile = recording.profile
        _, taps, detector, gain = chain
        numbers = (profile.sample_rate_hz, profile.carrier_hz(False), profile.samples_per_bit, taps, DECIMATION)
        loops = (detector, gain, TIMING_BANDWIDTH, PHASE_BANDWIDTH)
        files = (str(recording.path), str(self._out))
        self._command = [SYSTEM_PYTHON, "-c", GNURADIO_SOURCE, *files, *map(str, (*numbers, *loops))]
        self.version = ""
        try:
            self.run()
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise PeerMissing(f"GNU Radio ({HOW_TO})") from error
        self.loss_db = self._loss_db(recording)

    def run(self) -> float:
        """Processor seconds for the file."""
        done = subprocess.run(self._command, check=True, capture_output=True, text=True)
        took_s, self.version = done.stdout.split()[-2:]
        return float(took_s)

    def _loss_db(self, recording: Recording) -> float:
        """Each packet is sought where the last one ended, within 60 bits: slips between packets do not count."""
        import numpy as np

        found = np.fromfile(self._out, np.complex64).real
        wanted = 1 - 2.0 * recording.bits
        size = wanted.shape[1]
        place, wrong, count = recording.lead // recording.profile.samples_per_bit, 0, 0
        for number, signs in enumerate(wanted):
            first = max(0, place - 60)
            window = found[first : place + 60 + size]
            if len(window) < size:
                break
            likeness = np.correlate(window, signs, "valid")
            shift = int(np.abs(likeness).argmax())
            more, bits = recording.errors(
                number, np.sign(likeness[shift]) * found[first + shift : first + shift + size], 0
            )
            wrong, count, place = wrong + more, count + bits, first + shift + size
        return loss_db(wrong, count)


def _side(recording: Recording, folder: str, chain: Any) -> GnuRadio | PeerMissing:
    try:
        return GnuRadio(recording, folder, chain)
    except PeerMissing as error:
        return error


def _against_time(bench: Bench, name: str, ours: Callable[[], object], seconds: float, goal: float, note: str) -> Row:
    """A rate in seconds of line per second, against the goal."""
    (took_s,) = bench.measure(ours)
    rate = seconds / took_s
    return Row(
        bench.group, name, rate, goal, "line s/s", rate / goal, 1.0, None, f"goal: {goal:g}× real time{note}", ""
    )


@group("phy")
def phy(bench: Bench) -> Iterator[Row]:
    """Real time, GNU Radio, rows."""
    try:
        import numpy as np

        from osgp.plc.demodulate import receive_rows
        from osgp.plc.modulate import modulate
    except ImportError:
        return
    clock = ProcessorClock()
    timed = Bench(bench.group, quick=bench.quick, clock=clock)
    with tempfile.TemporaryDirectory() as folder:
        recording = Recording(folder)
        assert receive(recording) > 0

        def ours() -> object:
            return receive(recording)

        loss = our_loss_db(recording)
        yield _against_time(
            timed, "receiver, both carriers searched", ours, recording.seconds, REAL_TIME, f"; loss {loss:.2f} dB"
        )
        for chain in CHAINS:
            side = _side(recording, folder, chain)
            peer: Callable[[], object] | PeerMissing
            if isinstance(side, PeerMissing):
                peer, told, version = side, "", ""
            else:
                peer, told, version = _counted(side, clock), f"{side.loss_db:.2f} dB, ours {loss:.2f} dB", side.version
            yield timed.compare(
                f"receiver, against GNU Radio ({chain[0]})",
                ours,
                peer,
                work=recording.samples,
                unit="samples/s",
                floor=2.5,
                stretch=4.0,
                peer_name=f"GNU Radio on one carrier, up to bits; loss {told}",
                peer_version=version,
            )
    rng = np.random.default_rng(8)
    sent = modulate(bytes((1, *rng.integers(0, 256, 59).tolist())))
    count = 64
    rows = np.tile(sent, (count, 1)) + np.float32(2.0) * rng.standard_normal((count, len(sent)), dtype=np.float32)
    starts = np.zeros(count, np.int64)
    seconds = count * len(sent) / recording.profile.sample_rate_hz
    yield _against_time(
        timed,
        "packets as rows, beginning known",
        lambda: receive_rows(rows, starts=starts),
        seconds,
        ROWS_REAL_TIME,
        "",
    )


def _counted(side: GnuRadio, clock: ProcessorClock) -> Callable[[], object]:
    def peer() -> None:
        clock.elsewhere_s += side.run()

    return peer
