"""``osgp lon ping-path``: how far does a message come through repeaters (LTEP), and which hop does not answer."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import Annotated, Any

from cyclopts import Parameter

from osgp.cli.lon.attached import ANYWHERE, Attached, ChainEnd, Line, attached, check_target, read_place
from osgp.cli.output import EXIT_SILENCE, console, print_json, stderr
from osgp.lon.address import Destination, SubnetNode, parse_destination
from osgp.lon.ltep import MAX_LIST
from osgp.lon.nd import QueryStatus
from osgp.lon.proxy import Hop, safe_timer_s
from osgp.lon.timers import TRANSMIT_S
from osgp.node.stack import ChainOptions
from osgp.wire.errors import ConfigError, NoAnswer

__all__ = ["ping_path"]

_SURE_TIMER = 8
"""The failing hop is told right from this timer code on only (``osgp.lon.proxy.extra_wait_s``)."""


def ping_path(
    target: str,
    /,
    *,
    via: Annotated[
        str,
        Parameter(help="the repeaters in order, the agent last: 1/20,1/30,1/40; a * behind one: alternate path to it"),
    ],
    count: Annotated[int, Parameter(help="messages for each test")] = 1,
    whole: Annotated[
        bool, Parameter(help="test the whole chain only, and believe it where it says that it broke")
    ] = False,
    hop_timer: Annotated[int, Parameter(help="code of the hops' transmit timer, 0..15 (8: 256 ms, 10: 512 ms)")] = 10,
    hop_retries: Annotated[int, Parameter(help="repetitions of each hop")] = 3,
    target_timer: Annotated[int, Parameter(help="code of the last leg's transmit timer")] = 9,
    target_retries: Annotated[int, Parameter(help="repetitions of the last leg")] = 3,
    line: Line = ANYWHERE,
    json: Annotated[bool, Parameter(name="--json", help="print one JSON document")] = False,
) -> None:
    """Ask for a node's status through repeaters: first the first hop, then one further each time, until one is silent.

    Exit status 3 if the target was not reached. Reachability of each part is what is tested: a hop that fails here may be
    alive, but not hear the one before it.

    Parameters
    ----------
    target
        whom the chain is to reach: 1/50 (subnet/node) or 0700000000B2 (unique node ID)
    """
    words = via.split(",") if via.strip() else []
    if not all(word.strip() for word in words):
        raise ConfigError(f"{via!r} has a place without a repeater in it", hint="such as 1/20,1/30,1/40")
    hops = [_hop(word) for word in words]
    destination = parse_destination(target)
    for each in (*(SubnetNode(hop.subnet, hop.node) for hop in hops), destination):
        check_target(each, line)
    for code in (hop_timer, target_timer):
        if not 0 <= code < len(TRANSMIT_S):
            raise ConfigError(f"{code} is no timer code", hint="0 to 15; 8 is 256 ms, 10 is 512 ms")
    if not hops:
        raise ConfigError("--via names no repeater", hint="for one node alone: osgp lon query-status")
    if len(hops) > MAX_LIST + 1:
        raise ConfigError(f"--via names {len(hops)} repeaters; {MAX_LIST + 1} is the most")
    if count < 1:
        raise ConfigError("--count starts at 1")
    if not (0 <= hop_retries <= 15 and 0 <= target_retries <= 15):
        raise ConfigError("a message has 0 to 15 repetitions on each hop")
    options = ChainOptions(
        source=line.options(retry=min(line.retries, 1)),
        timer=hop_timer,
        retry=hop_retries,
        target_timer=target_timer,
        target_retry=target_retries,
    )
    if hop_timer < _SURE_TIMER or not hop_retries:
        stderr.print(
            "note: with a hop timer below 8, or without repetitions, a chain cannot tell which hop failed",
            style="yellow",
        )
    tests = attached(line, lambda node: _ping(node, hops, destination, count, whole, options))
    failed = next((test for test in tests if not test["answered"]), None)
    document = {
        "via": [str(hop) for hop in hops],
        "target": str(destination),
        "reached": failed is None,
        "failed_hop": failed["failed_hop"] if failed else None,
        "failed_at": failed["failed_at"] if failed else None,
        "longest_wait_s": round(safe_timer_s(len(hops), hop_timer, hop_retries, target_timer, target_retries), 3),
        "tests": tests,
    }
    if json:
        print_json(document)
    else:
        _show(tests, str(destination), failed)
    if failed is not None:
        raise SystemExit(EXIT_SILENCE)


def _hop(word: str) -> Hop:
    word = word.strip()
    place = read_place(word.removesuffix("*"))
    return Hop(place.subnet, place.node, word.endswith("*"))


async def _ping(
    node: Attached, hops: list[Hop], target: Destination, count: int, whole: bool, options: ChainOptions
) -> list[dict[str, Any]]:
    """The tests in order; after the first that failed there is no other."""
    ends: list[Destination] = [SubnetNode(hop.subnet, hop.node) for hop in hops]
    ends.append(target)
    tests: list[dict[str, Any]] = []
    for far in range(len(hops), len(ends)) if whole else range(len(ends)):
        test = await _test(node, hops[:far], ends[far], count, options)
        tests.append(test)
        if not test["answered"]:
            if not whole:
                test["failed_hop"] = far + 1  # all before it were reached a moment ago
            place = test["failed_hop"]
            test["failed_at"] = str(ends[place - 1]) if place else None
            break
    return tests


async def _test(
    node: Attached, hops: list[Hop], target: Destination, count: int, options: ChainOptions
) -> dict[str, Any]:
    """One part of the chain, ``count`` times. ``failed_hop``: the first that does not answer, counted from 1; 0 unknown."""
    clock = asyncio.get_running_loop().time
    took: list[float] = []
    reasons: list[str] = []
    failed = 0
    for _ in range(count):
        begun = clock()
        end = await _once(node, hops, target, options)
        if end.ok:
            took.append((clock() - begun) * 1e3)
        else:
            reasons.append(end.reason)
            # the node that gave up is named; whom it could not reach comes after it
            failed = end.hop + 1 if end.hop or end.reason.startswith("no answer") else 0
    return {
        "hop": len(hops) + 1,
        "to": str(target),
        "via": [str(hop) for hop in hops],
        "sent": count,
        "answered": len(took),
        "round_trip_ms": round(median(took), 3) if took else None,
        "longest_ms": round(max(took), 3) if took else None,
        "reason": reasons[-1] if reasons else "",
        "failed_hop": failed if not took else None,
        "failed_at": None,
    }


async def _once(node: Attached, hops: list[Hop], target: Destination, options: ChainOptions) -> ChainEnd:
    asking = QueryStatus().encode()
    if hops:
        return await node.ask_via(hops, target, asking, options)
    try:
        return ChainEnd(True, await node.ask(target, asking))
    except NoAnswer as error:
        return ChainEnd(False, (), error.message + (f" ({error.hint})" if error.hint else ""))


def _show(tests: list[dict[str, Any]], target: str, failed: dict[str, Any] | None) -> None:
    for test in tests:
        way = " → ".join([*test["via"], test["to"]])
        lost = test["sent"] - test["answered"]
        if test["answered"]:
            told = f"{test['round_trip_ms']:.1f} ms" + (f", {lost} of {test['sent']} lost" if lost else "")
            console.print(f"✓ hop {test['hop']}  {way}: {told}", style="green", markup=False)
        else:
            console.print(f"✗ hop {test['hop']}  {way}: {test['reason']}", style="red", markup=False)
    if failed is None:
        console.print(f"{target} is reached", markup=False)
        return
    place = failed["failed_hop"]
    where = f"hop {place}, {failed['failed_at']}," if place else "a hop that cannot be told"
    before = f" from {failed['via'][place - 2]}" if place and place > 1 and len(failed["via"]) >= place - 1 else ""
    console.print(f"{target} is not reached: {where} does not answer{before}", style="bold red", markup=False)
