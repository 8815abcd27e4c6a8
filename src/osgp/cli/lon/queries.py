"""``osgp lon query-status``, ``query-id`` and ``wink``: ask one node, or many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

from cyclopts import Parameter

from osgp.cli.lon.attached import ANYWHERE, Attached, Line, attached, check_target
from osgp.cli.output import console, print_json, print_table
from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, parse_destination
from osgp.lon.commands import decode_response
from osgp.lon.events import ResponseReceived
from osgp.lon.ltep import Service
from osgp.lon.nd import QueryStatus, StatusResponse
from osgp.lon.nm import IdentityResponse, QueryId, Refusal, RespondToQuery
from osgp.lon.nm_variables import Install
from osgp.lon.transport import Options
from osgp.wire import Struct
from osgp.wire.errors import BadValue, DecodeError, NoAnswer, ResponseError

__all__ = ["identity_of", "query_id", "query_status", "read_answer", "status_fields", "swaps_codes", "wink"]

MANY = 64
"""Most answers that are waited for when many are asked (project choice)."""

Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]


def query_status(target: str, /, *, line: Line = ANYWHERE, json: Json = False) -> None:
    """Ask for state and error counters.

    Parameters
    ----------
    target
        1/20 (subnet/node), 0700000000B2 (unique node ID), "group 5 size 4", "subnet 3" or broadcast
    """
    destination = parse_destination(target)
    check_target(destination, line)
    answers = attached(line, lambda node: ask(node, destination, QueryStatus().encode()))
    rows = [{"source": str(answer.source), **status_fields(read_answer(b"\x51", answer))} for answer in answers]
    if json:
        print_json({"target": str(destination), "answers": rows})
        return
    for row in rows:
        console.print(f"{row.pop('source')}: {row.pop('state')}", style="bold", markup=False)
        for name, value in row.items():
            console.print(f"  {name.replace('_', ' ')}: {value}", markup=False)


def query_id(target: str, /, *, line: Line = ANYWHERE, json: Json = False) -> None:
    """Ask for unique node ID and program ID. Of many (broadcast, subnet, group) the unconfigured answer.

    Parameters
    ----------
    target
        1/20 (subnet/node), 0700000000B2 (unique node ID), "group 5 size 4", "subnet 3" or broadcast
    """
    destination = parse_destination(target)
    check_target(destination, line)
    rows = attached(line, lambda node: _identities(node, destination))
    if json:
        print_json({"target": str(destination), "answers": rows})
    else:
        print_table("", ["from", "unique node ID", "program ID"], [list(row.values()) for row in rows])


def wink(target: str, /, *, line: Line = ANYWHERE, json: Json = False) -> None:
    """Make a node show where it is.

    Parameters
    ----------
    target
        1/20 (subnet/node), 0700000000B2 (unique node ID), "group 5", "subnet 3" or broadcast
    """
    destination = parse_destination(target)
    check_target(destination, line, asked=False)
    many = isinstance(destination, (Broadcast, Group))
    service = Service.UNACKD_RPT if many else Service.ACKD

    async def work(node: Attached) -> None:
        await node.deliver(destination, Install().encode(), line.options(), service)

    attached(line, work)
    if json:
        print_json({"target": str(destination), "acknowledged": not many})
    else:
        console.print(f"{destination} was told to wink" + ("" if many else ", and acknowledged"), markup=False)


async def ask(node: Attached, target: Destination, apdu: bytes, **more: Any) -> Sequence[ResponseReceived]:
    """The responses of one node, or of all that answer. Raises NoAnswer."""
    return await node.ask(target, apdu, _options(node.line, target, **more))


def _options(line: Line, target: Destination, **more: Any) -> Options:
    if isinstance(target, Broadcast):
        more = {"max_responses": MANY, "authenticated": False, **more}
    return line.options(**more)


def read_answer(request: bytes, answer: ResponseReceived) -> Struct:
    """A response by its request. Raises ResponseError for a refusal and BadValue for what cannot be read, with the sender."""
    try:
        value = decode_response(request, answer.apdu)
    except DecodeError as error:
        raise BadValue(f"the answer of {answer.source} cannot be read: {error}", floor="lon") from error
    if isinstance(value, Refusal):
        raise ResponseError(
            f"{answer.source} refused", code=answer.apdu[0], hint="it may want authentication: give the domain's --key"
        )
    return value


def status_fields(value: Struct) -> dict[str, Any]:
    """Query status in plain words and numbers."""
    if not isinstance(value, StatusResponse):
        return {"state": "no status", "answer": value.encode().hex()}
    state, cause = value.state, value.reset_cause
    words = state.fields["state"].label(state.state) or f"state {state.state}"
    return {
        "state": words + (", soft offline" if state.soft_offline else ""),
        "reset_cause": value.specs["reset_cause"].label(cause) or f"0x{cause:02X}",
        "firmware": value.firmware,
        "model": f"0x{value.model:02X}",
        "error_log": value.error_log,
        "transmission_errors": value.transmission_errors,
        "transaction_timeouts": value.transaction_timeouts,
        "receive_transactions_full": value.receive_transactions_full,
        "lost_messages": value.lost_messages,
        "missed_messages": value.missed_messages,
    }


async def identity_of(node: Attached, target: Destination) -> IdentityResponse:
    """Who one node is, whatever its state: it is selected first. Raises NoAnswer, ResponseError, BadValue.

    Whether it was selected its next answer tells, not the word it gives: some say no where they mean yes (``swaps_codes``).
    """
    select = RespondToQuery(select=1).encode()
    (chosen,) = await node.ask(target, select)
    refusal: ResponseError | None = None
    try:
        read_answer(select, chosen)
    except ResponseError as error:
        refusal = error
    asking = QueryId(selector=1).encode()
    try:
        answers = await node.ask(target, asking)
    except NoAnswer as error:
        raise refusal or error from None
    finally:
        await node.ask(target, RespondToQuery(select=0).encode())
    if not answers:
        raise refusal or NoAnswer(f"{target} was selected, but closed the request in silence")
    return cast(IdentityResponse, read_answer(asking, answers[0]))


async def swaps_codes(node: Attached, target: Destination) -> bool:
    """Whether a node says no where it means yes, and the other way, in answers that have nothing else to tell (lon-stack-dx does).

    It is told not to respond to query: every node does that for everybody. Raises NoAnswer, BadValue.
    """
    harmless = RespondToQuery(select=0).encode()
    (answer,) = await node.ask(target, harmless)
    try:
        read_answer(harmless, answer)
    except ResponseError:
        return True
    return False


async def _identities(node: Attached, target: Destination) -> list[dict[str, str]]:
    if isinstance(target, (Broadcast, Group)):
        asking = QueryId(selector=0).encode()
        try:
            answers = await ask(node, target, asking)
        except NoAnswer as error:
            if node.port.statistics.sent:
                error.hint = (
                    f"of many only the unconfigured answer, osgp lon discover finds the others; or {error.hint}"
                )
            raise
        found = [(answer.source, cast(IdentityResponse, read_answer(asking, answer))) for answer in answers]
    else:
        source = target if isinstance(target, SubnetNode) else SubnetNode(0, 0)
        found = [(source, await identity_of(node, target))]
    return [
        {
            "source": str(source) if source.node else "no address",
            "unique_node_id": value.unique_node_id.hex().upper(),
            "program_id": value.program_id.hex().upper(),
        }
        for source, value in found
    ]
