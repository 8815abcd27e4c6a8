"""``osgp lon discover``: who is there, commissioned or not; and whoever presses a service pin meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from osgp.cli.lon.attached import ANYWHERE, Attached, Line, attached, check_seconds
from osgp.cli.lon.queries import MANY, read_answer, status_fields
from osgp.cli.output import print_json, print_table, stderr
from osgp.lon.address import Broadcast, UniqueNodeId
from osgp.lon.events import Event, ResponseReceived, ServicePinReceived
from osgp.lon.ltep import Service
from osgp.lon.nd import QueryStatus
from osgp.lon.nm import IdentityResponse, QueryDomain, QueryId, RespondToQuery
from osgp.wire.errors import Error, NoAnswer

__all__ = ["discover"]

_ROUNDS = 16
"""Rounds of a search that finds something new each time (project choice)."""


def discover(
    *,
    what: Annotated[
        Literal["all", "unconfigured"], Parameter(help="all: commissioned nodes of our domain, too")
    ] = "all",
    listen: Annotated[float, Parameter(help="seconds to wait for service pins besides")] = 0.0,
    line: Line = ANYWHERE,
    json: Annotated[bool, Parameter(name="--json", help="print one JSON document")] = False,
) -> None:
    """Find nodes: repeated broadcasts until nobody new answers, then the state of each.

    A commissioned node is found in its own domain only (--domain); each that was found is told to keep silent, so that
    the next round hears the others.
    """
    check_seconds("--listen", listen)
    rows = attached(line, lambda node: _search(node, what, listen))
    if json:
        print_json({"domain": line.domain, "nodes": rows})
    else:
        print_table(
            f"{len(rows)} nodes",
            ["unique node ID", "program ID", "state", "place", "found by"],
            [[row["unique_node_id"], row["program_id"], row["state"], row["place"], row["found_by"]] for row in rows],
        )
    if not rows:
        raise NoAnswer(
            "nobody answered",
            hint="is the right --peer or --multicast given, the right --domain? Press a service pin and use --listen 30",
        )


async def _search(node: Attached, what: str, listen: float) -> list[dict[str, Any]]:
    found: dict[bytes, dict[str, Any]] = {}

    def note(unique_node_id: bytes, program_id: bytes, how: str) -> bool:
        fresh = unique_node_id not in found and unique_node_id != node.stack.configuration.unique_node_id
        if fresh:
            found[unique_node_id] = {
                "unique_node_id": unique_node_id.hex().upper(),
                "program_id": program_id.hex().upper(),
                "found_by": how,
            }
            stderr.print(f"found {unique_node_id.hex().upper()} ({how})", markup=False, style="dim")
        return fresh

    def hear(event: Event) -> None:
        if isinstance(event, ServicePinReceived):
            note(event.unique_node_id, event.program_id, "service pin")

    node.hear.append(hear)
    await _rounds(node, QueryId(selector=0).encode(), "query, unconfigured", note)
    if what == "all":
        select = RespondToQuery(select=1).encode()
        await node.deliver(Broadcast(), select, node.line.options(authenticated=False), Service.UNACKD_RPT)
        try:
            await _rounds(node, QueryId(selector=1).encode(), "query, selected", note)
        finally:
            deselect = RespondToQuery(select=0).encode()
            await node.deliver(Broadcast(), deselect, node.line.options(authenticated=False), Service.UNACKD_RPT)
    if listen > 0:
        await asyncio.sleep(listen)
    for unique_node_id, row in found.items():
        row.update(await _described(node, UniqueNodeId(unique_node_id)))
    return list(found.values())


async def _rounds(node: Attached, asking: bytes, how: str, note: Any) -> None:
    """Ask again and again until a round brings nobody new; whoever was found is told to keep silent where that is possible."""
    options = node.line.options(max_responses=MANY, retry=1, authenticated=False)
    for _ in range(_ROUNDS):
        try:
            answers: Sequence[ResponseReceived] = await node.ask(Broadcast(), asking, options)
        except NoAnswer:
            return
        fresh = 0
        for answer in answers:
            try:
                value = read_answer(asking, answer)
            except Error as error:
                stderr.print(f"  {error}", markup=False, style="yellow")
                continue
            if isinstance(value, IdentityResponse) and note(value.unique_node_id, value.program_id, how):
                fresh += 1
                if asking[1:2] == b"\x01":
                    await _keep_silent(node, UniqueNodeId(value.unique_node_id))
        if not fresh:
            return


async def _keep_silent(node: Attached, target: UniqueNodeId) -> None:
    try:
        await node.ask(target, RespondToQuery(select=0).encode())
    except NoAnswer:
        stderr.print(f"  {target} answered, but does not hear us by its unique node ID", markup=False, style="yellow")


async def _described(node: Attached, target: UniqueNodeId) -> dict[str, Any]:
    """State and place of a node that was found; what it does not tell stays open."""
    told: dict[str, Any] = {"state": "unknown", "place": ""}
    try:
        status = QueryStatus().encode()
        (answer,) = await node.ask(target, status)
        told["state"] = status_fields(read_answer(status, answer))["state"]
        asking = QueryDomain(index=0).encode()
        (answer,) = await node.ask(target, asking)
        entry = read_answer(asking, answer).entry  # type: ignore[attr-defined]  # the answer to this question has one
    except (Error, ValueError, AttributeError):
        return told
    if entry.in_use:
        told["place"] = f"[{entry.domain.hex().upper() or 'empty'}] {entry.subnet}/{entry.node.node}"
    return told
