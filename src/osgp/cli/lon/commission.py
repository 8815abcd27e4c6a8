"""``osgp lon commission``: give a device its place in a domain, by its unique node ID, and read back what it made of it."""

from __future__ import annotations

from typing import Annotated, Any, cast

from cyclopts import Parameter

from osgp.cli.lon.attached import ANYWHERE, Attached, Line, attached, key_of, read_place
from osgp.cli.lon.queries import read_answer, status_fields, swaps_codes
from osgp.cli.output import console, print_json, stderr
from osgp.crypto.keys import Key, default_key
from osgp.lon.address import SubnetNode, UniqueNodeId, parse_destination, parse_domain
from osgp.lon.configuration import domain_entry
from osgp.lon.entries import DomainEntry, NodeState, NodeStateByte
from osgp.lon.nd import QueryStatus, StatusResponse
from osgp.lon.nm import DomainResponse, QueryDomain, SetNodeMode, UpdateDomain
from osgp.wire import Struct
from osgp.wire.errors import ConfigError, RemoteProtocolError, ResponseError

__all__ = ["commission"]

_CHANGE_STATE = 3


def commission(
    unique_node_id: str,
    place: str,
    /,
    *,
    to_domain: Annotated[
        str | None, Parameter(help="the domain it is to be in, hex digits; default: our own (--domain)")
    ] = None,
    new_key: Annotated[
        str | None,
        Parameter(help="where the key that it is to have is (file:PATH, env:VAR, prompt:), 6 bytes; default: --key"),
    ] = None,
    index: Annotated[int, Parameter(help="which of its two domain entries: 0 or 1")] = 0,
    line: Line = ANYWHERE,
    json: Annotated[bool, Parameter(name="--json", help="print one JSON document")] = False,
) -> None:
    """Write a device's domain entry, make it configured, read both back and compare.

    A device that is commissioned already refuses this, unless it allows it or the messages are authenticated (--key).

    Parameters
    ----------
    unique_node_id
        the device: twelve hex digits, as `osgp lon discover` shows them
    place
        the subnet/node that it is to have, such as 1/20
    """
    target = parse_destination(unique_node_id)
    if not isinstance(target, UniqueNodeId):
        raise ConfigError(f"{unique_node_id!r} is no unique node ID", hint="twelve hex digits, such as 0700000000B2")
    if index not in (0, 1):
        raise ConfigError(f"there is no domain entry {index}", hint="0 or 1")
    wanted = read_place(place)
    domain = parse_domain(line.domain if to_domain is None else to_domain)
    if domain == parse_domain(line.domain) and wanted == read_place(line.address):
        raise ConfigError(f"{wanted} is our own address while we commission", hint="give ours with --address")
    given = new_key if new_key is not None else line.key  # no key at all would lock out whoever comes with the old one
    key = key_of(given)
    weakness = default_key(Key(key)) if given is not None else ""
    if weakness:
        stderr.print(f"warning: the new key is {weakness}", style="yellow", markup=False)
    entry = domain_entry(domain, wanted.subnet, wanted.node, key)
    told = attached(line, lambda node: _commission(node, target, index, entry, wanted))
    if json:
        print_json(told)
        return
    if told["codes_swapped"]:
        stderr.print("note: it says no where it means yes; what it did was read back", markup=False)
    console.print(
        f"{target} is {wanted} in domain {domain.hex().upper() or 'empty'}: {told['state']}, read back and compared",
        markup=False,
    )


async def _commission(
    node: Attached, target: UniqueNodeId, index: int, entry: DomainEntry, wanted: SubnetNode
) -> dict[str, Any]:
    before = cast(StatusResponse, await _ask(node, target, QueryStatus().encode()))
    swapped = await swaps_codes(node, target)
    update = UpdateDomain(index=index, entry=entry).encode()
    was = status_fields(before)["state"]
    code = await _refused(node, target, update, swapped)
    if code is not None:
        raise ResponseError(
            f"{target} ({was}) refused to be commissioned",
            code=code,
            hint="a commissioned device wants its domain's --key, or must be set to unconfigured at the device itself",
        )
    if index == 0:
        _take_key(node, entry)
    if before.state.state != NodeState.CONFIGURED:
        configured = SetNodeMode(mode=_CHANGE_STATE, state=NodeStateByte(state=NodeState.CONFIGURED)).encode()
        code = await _refused(node, target, configured, swapped)
        if code is not None:
            raise ResponseError(
                f"{target} has its domain entry, but stays {was}: it refused to be configured", code=code
            )
    found = cast(DomainResponse, await _ask(node, target, QueryDomain(index=index).encode())).entry
    after = cast(StatusResponse, await _ask(node, target, QueryStatus().encode()))
    place = SubnetNode(found.subnet, found.node.node)
    if not found.in_use or found.domain != entry.domain or place != wanted:
        raise RemoteProtocolError(
            f"{target} said yes, but has {place} in domain {found.domain.hex().upper() or 'empty'}",
            hint="another tool may be at work at the same time; try again",
        )
    state = status_fields(after)["state"]
    if after.state.state != NodeState.CONFIGURED:
        raise RemoteProtocolError(f"{target} has its domain, but is {state}", hint="it may need a reset; ask its maker")
    return {
        "unique_node_id": str(target),
        "domain": entry.domain.hex().upper(),
        "address": str(wanted),
        "index": index,
        "state": state,
        "state_before": was,
        "key_set": bool(any(entry.key)),
        "codes_swapped": swapped,
    }


def _take_key(node: Attached, entry: DomainEntry) -> None:
    """From now on the device answers to its new key: ours in that domain is the same, until the command ends."""
    configuration = node.stack.configuration
    own = configuration.domains[0]
    if own.domain == entry.domain:
        configuration.join(0, domain_entry(own.domain, own.subnet, own.node.node, entry.key))


async def _refused(node: Attached, target: UniqueNodeId, apdu: bytes, swapped: bool) -> int | None:
    """The code of a refusal; None where the command was carried out. ``swapped``: success and failure are."""
    (answer,) = await node.ask(target, apdu)
    try:
        read_answer(apdu, answer)
    except ResponseError as error:
        return None if swapped else error.code
    return answer.apdu[0] if swapped else None


async def _ask(node: Attached, target: UniqueNodeId, apdu: bytes) -> Struct:
    (answer,) = await node.ask(target, apdu)
    return read_answer(apdu, answer)
