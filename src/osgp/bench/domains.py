"""Group ``domains``: domains of 100 meters simulated frame by frame, against simpy and against the csma module of ns-3.

Offered to all alike: ten frames of 71 ms in a second and domain. The peers carry them over one channel that all hear, without loss and
without collisions. Ours has levels between all nodes, carrier sense at each of them, hidden nodes, collisions, capture, two carriers,
polling over up to three legs with time-outs and retries, and reports that are handed on hop by hop: all of these are among the ten
frames. The unit is a meter lived through for a second. Goals: at least 30 times a simpy skeleton and 100 times ns-3, on one core, by
the processor's clock; two cores at least 1.8 times one, by the clock on the wall.

The simpy skeleton is a process per meter that waits, counts slots down from a quiet line and sends. ns-3 runs a program of ours,
below, compiled when the group runs; it tells how much processor time its events took, so that neither compiling nor building the
nodes counts.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osgp.bench.frame import Bench, PeerMissing, Row, group

if TYPE_CHECKING:
    from osgp.sim.domains.model import Domains

__all__ = ["domains"]

METERS = 100
AIRTIME_S = 0.071
PAUSE_S = 10.0
"""Mean time between two frames of a meter: ten frames a second among a hundred."""
BETA1_S, BETA2_S, SLOTS = 0.006112, 0.002783, 16

DIFFERENT = 8
"""Different streets; the domains are these again and again, each with chances of its own."""
POLL_EVERY_S, REPORT_EVERY_S = 1.0, 24.0
"""Together with the legs of the ways and some retries: ten frames a second."""

NS3_SOURCE = r"""
#include "ns3/core-module.h"
#include "ns3/csma-module.h"
#include "ns3/network-module.h"
#include <cstdio>
#include <cstdlib>
#include <ctime>

using namespace ns3;

static uint64_t delivered = 0;
static Ptr<ExponentialRandomVariable> pause_s;

static void Send(Ptr<NetDevice> from, Address to)
{
    from->Send(Create<Packet>(46), to, 0x88b5);
    Simulator::Schedule(Seconds(pause_s->GetValue()), &Send, from, to);
}

static bool Receive(Ptr<NetDevice>, Ptr<const Packet>, uint16_t, const Address &)
{
    delivered++;
    return true;
}

int main(int count, char **arguments)
{
    int domains = std::atoi(arguments[1]), meters = std::atoi(arguments[2]);
    double seconds = std::atof(arguments[3]), airtime_s = std::atof(arguments[4]), mean_s = std::atof(arguments[5]);
    double slot_s = std::atof(arguments[6]);
    int slots = std::atoi(arguments[7]);
    pause_s = CreateObject<ExponentialRandomVariable>();
    pause_s->SetAttribute("Mean", DoubleValue(mean_s));
    for (int domain = 0; domain < domains; domain++) {
        NodeContainer nodes;
        nodes.Create(meters + 1);
        CsmaHelper helper;
        // The smallest frame, 64 bytes with header and trailer, is to take the airtime.
        helper.SetChannelAttribute("DataRate", DataRateValue(DataRate((uint64_t)(64 * 8 / airtime_s))));
        helper.SetChannelAttribute("Delay", TimeValue(MicroSeconds(1)));
        NetDeviceContainer devices = helper.Install(nodes);
        for (uint32_t i = 0; i < devices.GetN(); i++) {
            Ptr<CsmaNetDevice> device = DynamicCast<CsmaNetDevice>(devices.Get(i));
            // The ceiling comes before the retries, whatever the names in the header say; the other way frames are lost.
            device->SetBackoffParams(Seconds(slot_s), 1, slots, 4, 1000);
            if (i > 0)
                Simulator::Schedule(Seconds(pause_s->GetValue()), &Send, devices.Get(i), devices.Get(0)->GetAddress());
        }
        devices.Get(0)->SetReceiveCallback(MakeCallback(&Receive));
    }
    Simulator::Stop(Seconds(seconds));
    std::clock_t before = std::clock();
    Simulator::Run();
    std::clock_t after = std::clock();
    std::printf("%llu %.6f\n", (unsigned long long)delivered, double(after - before) / CLOCKS_PER_SEC);
    Simulator::Destroy();
    return 0;
}
"""


class ProcessorClock:
    """Processor time of this process, and what peers in other processes say they took."""

    def __init__(self) -> None:
        self.elsewhere_s = 0.0

    def __call__(self) -> float:
        return time.process_time() + self.elsewhere_s


# ---- ours ------------------------------------------------------------------------------------------------------------
def streets(count: int) -> Domains:
    """That many domains with the load of this group. Raises PeerMissing without NumPy and Numba."""
    try:
        from osgp.sim.domains.model import Domains, Load, street
    except ImportError as error:
        raise PeerMissing(f"{error.name} is not installed") from error
    load = Load(
        poll_every_s=POLL_EVERY_S,
        report_every_s=REPORT_EVERY_S,
        request_bytes=16,
        response_bytes=16,
        report_bytes=16,
    )
    made = [street(METERS, random.Random(number), load, length_m=3000.0) for number in range(min(count, DIFFERENT))]
    return Domains.of([made[number % DIFFERENT] for number in range(count)])


# ---- peers -----------------------------------------------------------------------------------------------------------
def simpy_frames(domains: int, seconds: float, seed: int = 1) -> int:
    """Frames that the skeleton has carried. Raises PeerMissing."""
    try:
        simpy: Any = importlib.import_module("simpy")
    except ImportError as error:
        raise PeerMissing("simpy") from error
    rng = random.Random(seed)
    carried = 0

    class Line:
        """A channel that all meters of a domain hear."""

        def __init__(self, env: Any) -> None:
            self.busy = False
            self.quiet = env.event()

    def meter(env: Any, line: Line) -> Iterator[Any]:
        nonlocal carried
        while True:
            yield env.timeout(rng.expovariate(1 / PAUSE_S))
            while True:
                while line.busy:
                    yield line.quiet
                yield env.timeout(BETA1_S + rng.randrange(SLOTS) * BETA2_S)
                if not line.busy:
                    break
            line.busy = True
            yield env.timeout(AIRTIME_S)
            carried += 1
            line.busy = False
            line.quiet.succeed()
            line.quiet = env.event()

    env = simpy.Environment()
    for _ in range(domains):
        line = Line(env)
        for _ in range(METERS):
            env.process(meter(env, line))
    env.run(until=seconds)
    return carried


class Ns3:
    """Our ns-3 program, compiled into a folder. Raises PeerMissing when it cannot be built or does not run."""

    def __init__(self, folder: str) -> None:
        compiler = shutil.which("g++")
        if compiler is None:
            raise PeerMissing("ns-3 (no C++ compiler)")
        source, self.program = Path(folder, "csma.cc"), Path(folder, "csma")
        source.write_text(NS3_SOURCE, "utf-8")
        command = [compiler, "-O2", "-o", str(self.program), str(source), "-lns3-csma", "-lns3-network", "-lns3-core"]
        try:
            subprocess.run(command, check=True, capture_output=True)
            self.run(1, 2.0)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PeerMissing("ns-3 (libns3-dev does not compile or run here)") from error

    def run(self, domains: int, seconds: float) -> tuple[int, float]:
        """Frames delivered, and processor seconds that took."""
        numbers = (domains, METERS, seconds, AIRTIME_S, PAUSE_S, BETA2_S, SLOTS)
        done = subprocess.run([str(self.program), *map(str, numbers)], check=True, capture_output=True, text=True)
        delivered, took_s = done.stdout.split()
        return int(delivered), float(took_s)


def _ns3_version() -> str:
    if shutil.which("pkg-config") is None:
        return ""
    done = subprocess.run(["pkg-config", "--modversion", "ns3-core"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _simpy_side(domains: int, seconds: float) -> Callable[[], object] | PeerMissing:
    try:
        simpy_frames(1, 1.0)
    except PeerMissing as error:
        return error
    return lambda: simpy_frames(domains, seconds)


def _ns3_side(folder: str, clock: ProcessorClock, domains: int, seconds: float) -> Callable[[], object] | PeerMissing:
    try:
        built = Ns3(folder)
    except PeerMissing as error:
        return error

    def peer() -> None:
        clock.elsewhere_s += built.run(domains, seconds)[1]

    return peer


@group("domains")
def domains(bench: Bench) -> Iterator[Row]:
    """One core against simpy and ns-3, then two cores against one."""
    try:
        ours = streets(100)
    except PeerMissing:
        return
    from osgp.sim.domains.engine import simulate

    simulate(ours, 1.0, 1)  # compiles, or loads what was compiled before
    clock = ProcessorClock()
    timed = Bench(bench.group, quick=bench.quick, clock=clock)
    seconds, peer_domains, peer_seconds = 60.0, 50, 10.0

    def one() -> object:
        return simulate(ours, seconds, 1)

    work, peer_work = ours.count * METERS * seconds, peer_domains * METERS * peer_seconds
    with tempfile.TemporaryDirectory() as folder:
        yield timed.compare(
            "domains of 100 meters, against a simpy skeleton",
            one,
            _simpy_side(peer_domains, peer_seconds),
            work=work,
            peer_work=peer_work,
            unit="meter-seconds/s",
            floor=30.0,
            peer_name="simpy, a process per meter, no collisions, no repeating",
            peer_version=_version("simpy"),
        )
        yield timed.compare(
            "domains of 100 meters, against ns-3 csma",
            one,
            _ns3_side(folder, clock, peer_domains, peer_seconds),
            work=work,
            peer_work=peer_work,
            unit="meter-seconds/s",
            floor=100.0,
            peer_name="ns-3 csma, one hop, no collisions",
            peer_version=_ns3_version(),
        )
    many, longer = streets(400), 10 * seconds  # so long that starting threads does not count
    yield bench.compare(
        "two cores, against one",
        lambda: simulate(many, longer, 1, threads=2),
        PeerMissing("a second core") if (os.cpu_count() or 1) < 2 else lambda: simulate(many, longer, 1),
        work=many.count * METERS * longer,
        unit="meter-seconds/s",
        floor=1.8,
        peer_name="the same on one core",
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
