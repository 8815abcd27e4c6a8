"""What is in the frames of simulated domains: ordinary nodes and decoders take it for their own; nothing damaged is taken."""

from __future__ import annotations

import datetime as dt
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from osgp.analyse.lon import dissect_frame, explain_frame, target_apdu
from osgp.app.device import DeviceSecurity
from osgp.app.handshake import Terms
from osgp.app.memory import RamMemory
from osgp.app.messages import Alert
from osgp.app.peer import PeerSecurity
from osgp.app.verdict import Accepted, Answered, How, Verdict
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.crc import has_crc, with_crc, without_crc
from osgp.lon.events import MessageReceived
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from osgp.node.energy import FLOWS, PER_WH
from osgp.node.registers import COUNTED, Registers
from osgp.node.stack import ChainOptions, Stack
from osgp.sim.domains.content import frames, receiving
from osgp.sim.domains.content.ccm import BatchCipher, opened, sealed
from osgp.sim.domains.content.frames import address_of
from osgp.sim.domains.content.messages import Contents
from osgp.sim.domains.content.meters import GENERATION, Meters, counts
from osgp.sim.domains.content.run import Batch, Summary, load_for, produce
from osgp.sim.domains.content.secured import Security
from osgp.sim.domains.engine import simulate
from osgp.sim.domains.model import Counter, Domain, Kind, Load, What, street
from osgp.sim.medium import Levels
from osgp.tables.bt.bt23 import BT23
from osgp.tables.services import PartialRead, decode_request, decode_response
from osgp.wire import layout_of
from osgp.wire.errors import ConfigError
from osgp.wire.explain import ExplainNode

SILENT = -math.inf
CONTENTS = Contents()
TAKEN = {"handed_on", "accepted", "repeated", "unexpected"}


def chain_domain(contents: Contents = CONTENTS, link_db: float = 5.0, **wishes: Any) -> Domain:
    """Four meters in a row that hear their neighbours alone, and badly, over both carriers; a fifth beside the concentrator."""
    table = [[SILENT] * 6 for _ in range(6)]
    for one in range(4):
        table[one][one + 1] = table[one + 1][one] = link_db
    table[0][5] = table[5][0] = 30.0
    row = [(1, False), (2, True), (3, False), (4, True)]
    ways = [[], *(row[:legs] for legs in range(1, 5)), [(5, True)]]
    load = load_for(contents, **{"poll_every_s": 0.0, "report_every_s": 100.0, **wishes})
    return Domain(Levels((table, table), ("Q",) * 6), ways, load)


@lru_cache(maxsize=1)
def chain() -> Batch:
    """Ten minutes of it."""
    (batch,) = produce([chain_domain()], 600.0, 5, contents=CONTENTS)
    return batch


def same(one: Batch, other: Batch) -> bool:
    columns = (
        "frames",
        "size",
        "time_us",
        "sender",
        "receiver",
        "kind",
        "meter",
        "number",
        "behind",
        "carrier",
        "captured",
    )
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns) and all(
        np.array_equal(a, b)
        for a, b in (
            (one.checked.verdict, other.checked.verdict),
            (one.readings.values, other.readings.values),
            (one.readings.time_us, other.readings.time_us),
            (one.checked.alerts, other.checked.alerts),
        )
    )


def apdu_at_the_end(batch: Batch, row: int) -> bytes:
    """The message for the far end, whatever is around it."""
    return target_apdu(dissect_frame(batch.frame(row), crc=True).apdu)


def again(batch: Batch, frames: Any, rows: Sequence[int] | slice = slice(None)) -> receiving.Checked:
    """What the receivers make of other frames in the place of these rows."""
    waited = replace(batch.waited, asked=batch.waited.asked[rows])
    return receiving.received(
        batch.meters, batch.contents, frames, batch.size[rows], batch.receiver[rows], batch.time_us[rows], waited
    )


# ---- the batch form of the cipher --------------------------------------------------------------------------------------
def test_many_messages_at_once_are_what_the_library_seals_one_by_one() -> None:
    dice = random.Random(1)
    bounds = [0, 3, 3, 4, 9]
    for size in (1, 8, 15, 16, 17, 63, 87):
        for aad_size in (1, 13, 14, 15, 22, 30):
            keys = [dice.randbytes(16) for _ in bounds[1:]]
            nonces, aad, plain = (
                np.frombuffer(dice.randbytes(9 * width), np.uint8).reshape(9, width) for width in (13, aad_size, size)
            )
            ciphers = [BatchCipher(Key(key)) for key in keys]
            found = sealed(ciphers, bounds, nonces, aad, plain)
            for place, key in enumerate(keys):
                library = AESCCM(key, tag_length=8)
                for row in range(bounds[place], bounds[place + 1]):
                    wanted = library.encrypt(nonces[row].tobytes(), plain[row].tobytes(), aad[row].tobytes())
                    assert found[row].tobytes() == wanted
            back, good = opened(ciphers, bounds, nonces, aad, found)
            assert good.all()
            assert (back == plain).all()


def test_a_changed_bit_is_seen_wherever_it_is() -> None:
    dice = random.Random(2)
    cipher, bounds = [BatchCipher(Key(dice.randbytes(16)))], [0, 1]
    nonce, aad, plain = (np.frombuffer(dice.randbytes(width), np.uint8).reshape(1, width) for width in (13, 14, 20))
    whole = np.concatenate([nonce, aad, sealed(cipher, bounds, nonce, aad, plain)], 1)
    bits = 8 * whole.shape[1]
    changed = np.tile(whole, (bits, 1))
    for bit in range(bits):
        changed[bit, bit // 8] ^= 1 << bit % 8
    text, good = opened(cipher, [0, bits], changed[:, :13], changed[:, 13:27], changed[:, 27:])
    assert not good.any()
    assert not text.any(), "what cannot be trusted is not given out"


def test_a_cipher_shows_no_key_and_takes_no_other_sizes() -> None:
    cipher = BatchCipher(Key(b"k" * 16))
    assert repr(cipher) == "BatchCipher(key hidden)"
    nothing = np.zeros((1, 0), np.uint8)
    with pytest.raises(ValueError, match="size"):
        sealed([cipher], [0, 1], np.zeros((1, 13), np.uint8), nothing, nothing)


# ---- frames ------------------------------------------------------------------------------------------------------------
def test_all_kinds_are_there_on_all_legs_with_retries_and_both_carriers() -> None:
    batch = chain()
    assert set(zip(batch.kind.tolist(), batch.behind.tolist())) == {
        (kind, left) for kind in range(3) for left in range(4)
    }
    assert set(batch.carrier.tolist()) == {0, 1}
    assert batch.results.total(Counter.RETRIES) > 20
    assert batch.count == batch.results.total(Counter.RECEIVED) + batch.results.total(Counter.CAPTURED)
    summary = Summary()
    summary.add(batch)
    assert summary.refused == 0
    assert {"handed_on", "accepted", "repeated"} <= set(summary.verdicts) <= TAKEN
    assert sum(summary.verdicts.values()) == summary.delivered == batch.count


def test_the_ordinary_decoder_reads_every_frame_and_finds_who_it_is_from_and_for() -> None:
    batch = chain()
    for row in random.Random(3).sample(range(batch.count), 150):
        found = dissect_frame(batch.frame(row), crc=True)
        assert (found.error, found.crc) == ("", True)
        assert found.npdu is not None
        npdu, kind = found.npdu, batch.kind[row]
        sender, receiver = address_of(int(batch.sender[row])), address_of(int(batch.receiver[row]))
        assert SubnetNode(npdu.source_subnet, npdu.source_node.node) == sender
        assert npdu.destination_node is not None
        assert (npdu.destination_subnet, npdu.destination_node.node) == (receiver.subnet, receiver.node)
        assert npdu.domain == batch.meters.domain
        assert found.header is not None
        assert found.header.alternate_path == batch.carrier[row]
        assert found.direction == ("request", "response", "")[kind]
        assert len(apdu_at_the_end(batch, row)) == CONTENTS.apdu_sizes[kind]
        assert not errors_in(explain_frame(batch.frame(row), crc=True))


def errors_in(node: ExplainNode) -> list[str]:
    return [node.error] * bool(node.error) + [error for child in node.children for error in errors_in(child)]


def test_each_frame_is_as_long_as_the_engine_was_told() -> None:
    batch = chain()
    told = np.array(load_for(CONTENTS).sizes).reshape(3, 4)
    assert (batch.size == told[batch.kind, batch.behind] + 2).all()
    with pytest.raises(ConfigError, match="not as long"):
        next(produce([street(5, random.Random(1), Load())], 1.0, 1, contents=CONTENTS))


def test_ordinary_stacks_on_the_same_way_send_the_same_frames() -> None:
    batch = chain()
    way = [(0, False), (1, False), (2, True), (3, False), (4, True)]
    for legs in range(1, 5):
        first = np.flatnonzero((batch.meter == legs) & (batch.kind == Kind.REQUEST) & (batch.behind == legs - 1))[0]
        number = batch.number[first]
        of_it = (batch.number == number) & (batch.kind != Kind.REPORT)
        by_leg = {(int(batch.kind[row]), int(batch.behind[row])): row for row in np.flatnonzero(of_it)[::-1]}
        request = apdu_at_the_end(batch, by_leg[Kind.REQUEST, 0])
        response = apdu_at_the_end(batch, by_leg[Kind.RESPONSE, legs - 1])
        spoken = dissect_frame(batch.frame(first), crc=True).transaction
        assert spoken is not None
        found = exchanged(way[: legs + 1], batch.meters.domain, request, response, spoken)
        assert len(found) == 2 * legs
        for place, lpdu in enumerate(found):
            kind, left = divmod(place, legs)
            row = by_leg[kind, legs - 1 - left]
            # Which carrier a repeat takes is the engine's affair.
            assert batch.frame(row)[1:-2] == lpdu[1:], (legs, place)
            assert batch.frame(row)[0] & 0xBF == lpdu[0] & 0xBF


def exchanged(
    way: Sequence[tuple[int, bool]], domain: bytes, request: bytes, response: bytes, transaction: int
) -> list[bytes]:
    """LPDUs of an exchange among ordinary nodes that hear each other without loss."""
    stacks = {}
    for node, _ in way:
        place = address_of(node)
        configuration = Configuration(bytes((2, 0, 0, 0, 0, node)))
        configuration.join(0, domain_entry(domain, place.subnet, place.node))
        stacks[node] = Stack(configuration, quiet_s=0.0, first_transaction=transaction)
    *between, (target, secondary) = way[1:]
    place, options = address_of(target), Options(retry=3, alternate_path=way[1][1])
    if between:
        hops = [Hop(address_of(node).subnet, address_of(node).node, path) for node, path in between]
        chain_options = ChainOptions(source=options, target_alternate_path=secondary)
        stacks[0].request_via(hops, place, request, 0.0, chain_options)
    else:
        stacks[0].request(place, request, 0.0, options)
    frames: list[bytes] = []
    while packets := [packet for stack in stacks.values() for packet in stack.outgoing(0.0)]:
        for packet in packets:
            frames.append(packet.lpdu())
            for stack in stacks.values():
                stack.receive_frame(packet.lpdu(), 0.0)
        for event in stacks[target].events():
            if isinstance(event, MessageReceived) and event.reply is not None:
                stacks[target].respond(event.reply, response, 0.0)
    return frames


def test_a_repeat_has_the_same_bytes_but_for_its_carrier() -> None:
    batch = chain()
    repeats = 0
    seen: dict[tuple[int, int, int], bytes] = {}
    for row in range(batch.count):
        key = int(batch.kind[row]), int(batch.number[row]), int(batch.behind[row])
        frame = batch.frame(row)
        before = seen.setdefault(key, frame)
        if before is not frame:
            repeats += 1
            assert before[1:-2] == frame[1:-2]
            assert (before[0] ^ frame[0]) & 0xBF == 0
            assert (before == frame) == (before[0] == frame[0])
    assert repeats > 20
    legs: dict[tuple[int, int], set[bytes]] = {}
    for row in random.Random(4).sample(range(batch.count), 200):
        legs.setdefault((int(batch.kind[row]), int(batch.number[row])), set()).add(apdu_at_the_end(batch, row))
    assert all(len(messages) == 1 for messages in legs.values()), "repeaters change nothing of what is within"


# ---- secured messages --------------------------------------------------------------------------------------------------
def commissioned(batch: Batch, node: int) -> tuple[DeviceSecurity, PeerSecurity]:
    """An ordinary device and its concentrator's side, with this meter's UMK and the randoms of its handshake."""
    meter = batch.meters.meter(node)
    profile = batch.contents.profile
    device = DeviceSecurity(meter.unique_node_id, meter.umk, RamMemory(), randomness=lambda size: meter.rd[:size])
    peer = PeerSecurity(
        meter.unique_node_id, meter.psk(profile), 1, meter.concentrator_id, RamMemory(),
        randomness=lambda size: meter.rc[:size],
    )  # fmt: skip
    terms = Terms(meter.address, Key(b"broadcast key 01"), 1, 0, 0)
    second = device.receive(peer.challenge(terms, 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, 0.0)
    assert isinstance(third, Answered)
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, 0.0)
    assert isinstance(fourth, Answered)
    peer.handshake(fourth.apdu, 0.0)
    first = device.receive(peer.seal(b"\x30\0\3", 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(first, Accepted)
    peer.open(device.seal_response(first.ticket, b"\0\0\1\0"), 0.0)
    assert device.ku_generation == GENERATION
    return device, peer


def answered(device: DeviceSecurity, request: bytes, plaintext: bytes) -> tuple[Verdict, bytes]:
    """What the device says to a request, and its response."""
    verdict = device.receive(request, How.REQUEST, 0.0)
    if isinstance(verdict, Accepted):
        return verdict, device.seal_response(verdict.ticket, plaintext)
    assert isinstance(verdict, Answered)
    return verdict, verdict.apdu


@pytest.mark.parametrize("node", [1, 2, 4, 5])
def test_the_ordinary_session_machines_seal_and_open_the_very_same(node: int) -> None:
    batch = chain()
    device, peer = commissioned(batch, node)
    before = device.unicast_uses
    mine = (batch.meter == node) & (batch.kind != Kind.REPORT)
    read = batch.readings.values[batch.readings.meter == node]
    reads = accepted = repeated = 0
    response, open_number = b"", 0
    sent: dict[int, bytes] = {}
    for number in sorted(set(batch.number[mine].tolist())):
        if peer.open_request is not None:
            peer.give_up()
        sent[number] = peer.seal(CONTENTS.request, 0.0)
        rows = np.flatnonzero(mine & (batch.number == number))
        values = expected_values(batch, rows)
        for row in rows:
            message = apdu_at_the_end(batch, row)
            if batch.kind[row] == Kind.REQUEST:
                assert message == sent[number], "own number after own number, the same bytes"
                if batch.receiver[row] != node:
                    continue
                plaintext = CONTENTS.answer[: CONTENTS.values_at] + values
                verdict, response = answered(device, message, plaintext)
                if isinstance(verdict, Accepted):
                    assert decode_request(verdict.plaintext, checksum=False) == PartialRead(23, 0, 60)
                    assert batch.checked.verdict[row] == receiving.Verdict.ACCEPTED
                    accepted += 1
                else:
                    assert batch.checked.verdict[row] == receiving.Verdict.REPEATED
                    repeated += 1
                open_number = number
                continue
            assert (message, open_number) == (response, number)
            if batch.receiver[row]:
                continue
            if batch.checked.verdict[row] == receiving.Verdict.ACCEPTED:
                opened_it = peer.open(message, 0.0)
                assert isinstance(opened_it, Accepted)
                code, data = decode_response(opened_it.plaintext, checksum=False, read=True)
                assert (code, registers_in(data)) == (0, read[reads].tolist())
                reads += 1
            else:
                assert batch.checked.verdict[row] == receiving.Verdict.UNEXPECTED
                assert peer.open_request is None
    assert reads == len(read) > 5
    assert device.unicast_uses - before == batch.checked.uses[node]
    assert accepted >= reads
    assert repeated or node in (1, 5)


def expected_values(batch: Batch, rows: Any) -> bytes:
    """What the meter's registers show when the request of these rows reaches it, by an ordinary meter's own counting."""
    there = [row for row in rows if batch.kind[row] == Kind.REQUEST and batch.behind[row] == 0]
    if not there:
        return bytes(60)
    node = int(batch.meter[there[0]])
    before, power = batch.meters.loads
    registers = Registers(4)
    registers.flow = [int(value) for value in before[node]]
    registers.add(tuple(int(value) * (int(batch.time_us[there[0]]) // 1000) for value in power[node]))
    shown = registers.counts()
    return b"".join(shown.get(source, 0).to_bytes(4, "little", signed=True) for source in CONTENTS.sources)


def registers_in(data: bytes) -> list[int]:
    """The registers as the ordinary layout of the table decodes them."""
    layout = layout_of(BT23, CONTENTS.context)
    offset, size = CONTENTS.span
    raw = bytearray(layout.encode(layout.zero()))
    raw[offset : offset + size] = data
    return list(layout.decode(bytes(raw)).tot_data_block.summations[: CONTENTS.count])


def test_alerts_open_in_the_ordinary_machine_and_say_when_they_were_raised() -> None:
    batch = chain()
    assert batch.results.trace is not None
    raised = {int(row[6]): row for row in batch.results.trace[0] if row[1] == What.REPORTED}
    told = {(int(node), int(entry)) for node, _, entry in batch.checked.alerts}
    peers: dict[int, PeerSecurity] = {}
    rows = np.flatnonzero((batch.kind == Kind.REPORT) & (batch.receiver == 0))
    assert len(rows) == len(told) == batch.results.total(Counter.REPORTS_DELIVERED) > 10
    for row in rows:
        node = int(batch.meter[row])
        peer = peers.get(node) or peers.setdefault(node, commissioned(batch, node)[1])
        verdict = peer.open_alert(apdu_at_the_end(batch, row))
        assert isinstance(verdict, Accepted)
        alert = Alert.decode(verdict.plaintext)
        moment = CONTENTS.start + dt.timedelta(microseconds=int(raised[int(batch.number[row])][0]))
        assert alert.time.datetime() == moment.replace(microsecond=0)
        assert (node, alert.log_sequence) in told


def test_what_is_read_is_what_the_engine_says_was_read() -> None:
    batch = chain()
    assert batch.results.trace is not None
    trace = batch.results.trace[0]
    read = trace[trace[:, 1] == What.READ]
    assert batch.readings.meter.tolist() == read[:, 5].tolist()
    assert batch.readings.time_us.tolist() == read[:, 0].tolist()
    for node in range(1, 6):
        values = batch.readings.values[batch.readings.meter == node]
        assert (np.diff(values, axis=0) >= 0).all(), "energy grows"
        assert (values[:, 6] - values[:, 0] - values[:, 1] <= 1).all(), "what flows both ways is the sum"
    assert (batch.readings.values[-1] != batch.readings.values[0]).any()


def test_registers_count_as_a_meter_counts() -> None:
    dice = random.Random(6)
    flows = [[dice.randrange(10**6 * PER_WH) for _ in FLOWS] for _ in range(20)]
    found = counts(np.array(flows, np.int64), (*COUNTED, 26), [1] * 15)
    for row, each in zip(found.tolist(), flows):
        registers = Registers(4)
        registers.add(tuple(each))
        assert row == [*(registers.counts()[source] for source in COUNTED), 0]


# ---- nothing damaged is taken ------------------------------------------------------------------------------------------
def some_of_each() -> list[int]:
    """A frame of each kind on each leg, and the last of them at both ends."""
    batch = chain()
    found = {(int(batch.kind[row]), int(batch.meter[row]), int(batch.behind[row])): row for row in range(batch.count)}
    return sorted(found.values())


def test_one_bit_anywhere_and_the_frame_is_refused() -> None:
    batch = chain()
    rows, frames = [], []
    for row in some_of_each():
        for bit in range(8 * int(batch.size[row])):
            frame = batch.frames[row].copy()
            frame[bit // 8] ^= 1 << bit % 8
            rows.append(row)
            frames.append(frame)
    found = again(batch, np.array(frames), rows)
    assert (found.verdict == receiving.Verdict.BAD_CRC).all()
    assert len(found.readings.meter) == len(found.alerts) == 0
    assert found.tags == 0


def test_with_the_crc_made_right_again_the_tag_still_tells() -> None:
    batch = chain()
    rows, frames = [], []
    for row in some_of_each():
        if batch.behind[row]:
            continue
        begin = int(batch.size[row]) - 2 - CONTENTS.apdu_sizes[batch.kind[row]]
        for bit in range(8 * begin, 8 * (int(batch.size[row]) - 2)):
            raw = bytearray(batch.frame(row)[:-2])
            raw[bit // 8] ^= 1 << bit % 8
            frame = np.zeros_like(batch.frames[row])
            frame[: batch.size[row]] = np.frombuffer(with_crc(bytes(raw)), np.uint8)
            rows.append(row)
            frames.append(frame)
    found = again(batch, np.array(frames), rows)
    assert set(found.verdict.tolist()) == {receiving.Verdict.BAD_TAG, receiving.Verdict.UNREADABLE}
    assert (found.verdict == receiving.Verdict.UNREADABLE).sum() < 8 * len(rows) / 100, "only what has another code"
    assert len(found.readings.meter) == len(found.alerts) == 0


def test_recorded_frames_are_replays_and_frames_for_others_are_let_pass() -> None:
    batch = chain()
    requests = np.flatnonzero((batch.kind == Kind.REQUEST) & (batch.receiver == 4) & (batch.meter == 4))
    alerts = np.flatnonzero((batch.kind == Kind.REPORT) & (batch.receiver == 0))
    answers = np.flatnonzero((batch.kind == Kind.RESPONSE) & (batch.receiver == 0))
    later = [*requests[:2], *alerts[:2], *answers[:2]]
    order = [*range(batch.count), *later]
    found = again(batch, batch.frames[order], order)
    kinds = receiving.Verdict
    assert found.verdict[-6:].tolist() == [kinds.REPLAYED] * 4 + [kinds.UNEXPECTED] * 2
    assert (found.verdict[: batch.count] == batch.checked.verdict).all()
    moved = replace(batch, receiver=np.where(batch.receiver == 5, 3, 5).astype(np.int16))
    assert (again(moved, batch.frames).verdict == kinds.MISDIRECTED).all()


def put(batch: Batch, row: int, message: Any) -> Any:
    """The frame of a row with another message in it, and its CRC right."""
    size = int(batch.size[row])
    raw = bytearray(batch.frame(row)[:-2])
    raw[size - 2 - len(message) :] = bytes(message)
    frame = batch.frames[row : row + 1].copy()
    frame[0, :size] = np.frombuffer(with_crc(bytes(raw)), np.uint8)
    return frame


def test_a_good_tag_around_something_else_is_no_reading() -> None:
    batch, kinds = chain(), receiving.Verdict
    security = Security(batch.meters, CONTENTS)
    ends = {
        kind: int(np.flatnonzero((batch.kind == kind) & (batch.behind == 0) & (batch.checked.verdict == 1))[0])
        for kind in Kind
    }
    row = ends[Kind.RESPONSE]
    exchange = [int(batch.waited.asked[row])]
    owner, request = batch.waited.meter[exchange], batch.waited.requests[exchange]
    refusal = np.frombuffer(b"\5" + CONTENTS.answer[1:], np.uint8)[None]
    found = again(batch, put(batch, row, security.responses(owner, request, refusal)[0]), [row])
    assert (found.verdict.tolist(), len(found.readings.meter)) == ([kinds.BAD_CONTENTS], 0)
    right = np.frombuffer(CONTENTS.answer, np.uint8)[None]
    taken = again(batch, put(batch, row, security.responses(owner, request, right)[0]), [row])
    assert (taken.verdict.tolist(), len(taken.readings.meter)) == ([kinds.ACCEPTED], 1)
    row = ends[Kind.REPORT]
    told = np.frombuffer(bytes([CONTENTS.alert[0] + 1]) + CONTENTS.alert[1:], np.uint8)[None]
    owner = batch.meter[[row]].astype(np.int64)
    found = again(batch, put(batch, row, security.alerts(owner, np.array([900]), told)[0]), [row])
    assert (found.verdict.tolist(), len(found.alerts)) == ([kinds.BAD_CONTENTS], 0)


def test_an_answer_with_another_transaction_number_is_not_waited_for() -> None:
    batch = chain()
    row = int(np.flatnonzero((batch.kind == Kind.RESPONSE) & (batch.receiver == 0))[0])
    raw = bytearray(batch.frame(row)[:-2])
    raw[9] ^= 1
    frame = batch.frames[row : row + 1].copy()
    frame[0, : batch.size[row]] = np.frombuffer(with_crc(bytes(raw)), np.uint8)
    assert again(batch, frame, [row]).verdict.tolist() == [receiving.Verdict.UNEXPECTED]


def test_counters_never_come_twice_under_a_key() -> None:
    batch = chain()
    security = Security(batch.meters, CONTENTS)
    counters = security.counters(Kind.REQUEST, batch.waited.requests).view(">u4")[:, 0]
    pairs = set(zip(batch.waited.meter.tolist(), counters.tolist()))
    assert len(pairs) == len(counters) == batch.results.total(Counter.POLLS)
    assert min(counter for _, counter in pairs) == 2, "1 has committed the key set"


def test_bytes_that_are_no_frame_of_ours_are_refused() -> None:
    batch = chain()
    dice = np.random.default_rng(7)
    frames, sizes = [], []
    for row in range(2000):
        lpdu = batch.frame(row % batch.count)[:10] + dice.bytes(int(dice.integers(0, 70)))
        lpdu = lpdu[: int(dice.integers(0, 80))]
        whole = with_crc(lpdu)
        frames.append(np.frombuffer(whole.ljust(batch.frames.shape[1], b"\0"), np.uint8))
        sizes.append(len(whole))
    rows = np.arange(2000) % batch.count
    noisy = replace(batch, size=np.array(sizes, np.int16), receiver=batch.receiver[rows], time_us=batch.time_us[rows])
    waited = replace(batch.waited, asked=batch.waited.asked[rows])
    found = receiving.received(
        noisy.meters, CONTENTS, np.array(frames), noisy.size, noisy.receiver, noisy.time_us, waited
    )
    assert not (set(found.verdict.tolist()) & {receiving.Verdict.ACCEPTED, receiving.Verdict.REPEATED})
    assert len(found.readings.meter) == len(found.alerts) == 0


# ---- the same again ----------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_keys() -> None:
    (once,) = produce([chain_domain()], 600.0, 5, contents=CONTENTS)
    assert same(once, chain())
    (other,) = produce([chain_domain()], 100.0, 6, contents=CONTENTS)
    profile = CONTENTS.profile
    assert other.meters.meter(1).ku(profile) != chain().meters.meter(1).ku(profile)
    assert len({chain().meters.meter(node).ku(profile).secret() for node in range(1, 6)}) == 5


def test_the_reference_engine_gives_the_same_bytes() -> None:
    (slow,) = produce([chain_domain()], 600.0, 5, contents=CONTENTS, engine="reference")
    assert same(slow, chain())


def test_a_domain_is_the_same_in_parts_of_a_longer_list() -> None:
    domains = [street(12, random.Random(number), load_for(CONTENTS, report_every_s=60.0)) for number in range(3)]
    whole = list(produce(domains, 60.0, 9, contents=CONTENTS))
    parts = [batch for at in range(3) for batch in produce(domains[at : at + 1], 60.0, 9, contents=CONTENTS, first=at)]
    assert all(same(one, other) for one, other in zip(whole, parts, strict=True))
    assert [batch.meters.domain for batch in whole] == [batch.meters.domain for batch in parts]
    assert len({batch.frame(0) for batch in whole}) == 3


def test_the_engine_runs_once_for_a_trace_if_there_is_room_and_gives_the_same() -> None:
    domain = chain_domain()
    plain = simulate([domain], 60.0, 1, trace=True)
    roomy = simulate([domain], 60.0, 1, trace=True, expected_events=10_000)
    narrow = simulate([domain], 60.0, 1, trace=True, expected_events=3)
    moved = simulate([domain] * 2, 60.0, 1, trace=True)
    later = simulate([domain], 60.0, 1, trace=True, first=1)
    assert plain.trace is not None
    assert roomy.trace is not None
    assert narrow.trace is not None
    assert moved.trace is not None
    assert later.trace is not None
    assert (plain.trace[0] == roomy.trace[0]).all()
    assert (plain.trace[0] == narrow.trace[0]).all()
    assert (later.trace[0] == moved.trace[1]).all()


# ---- other contents, other loads -----------------------------------------------------------------------------------------
def test_other_registers_of_another_model_are_read_as_well() -> None:
    contents = Contents(first=2, count=2, model="3ph", start=dt.datetime(2031, 2, 28, 23, 59, 30, tzinfo=dt.UTC))
    (batch,) = produce([chain_domain(contents, 30.0)], 120.0, 1, contents=contents)
    assert contents.names == ["import_reactive_energy[varh]", "export_reactive_energy[varh]"]
    assert batch.readings.values.shape[1] == 2
    assert (batch.readings.values[:, 0] > 0).all()
    assert {dissect_frame(batch.frame(row), crc=True).error for row in range(batch.count)} == {""}
    (whole,) = produce([chain_domain()], 120.0, 1, contents=CONTENTS)
    assert int(batch.size.max()) < int(whole.size.max())


def test_what_hangs_on_the_meters_may_be_ones_own() -> None:
    def constant(meters: Meters, nodes: Any, at_ms: Any) -> Any:
        flows = np.zeros((len(nodes), len(FLOWS)), np.int64)
        flows[:, 0] = nodes * 1000 * PER_WH
        return flows

    (batch,) = produce([chain_domain()], 60.0, 1, contents=CONTENTS, energy=constant)
    assert (batch.readings.values[:, 0] == 1000 * batch.readings.meter).all()


def test_a_domain_in_which_nobody_can_be_reached_has_no_frames() -> None:
    levels = Levels(([[SILENT] * 3] * 3,) * 2, ("Q",) * 3)
    (batch,) = produce([Domain(levels, [[]] * 3, load_for(CONTENTS))], 60.0, 1, contents=CONTENTS)
    summary = Summary()
    summary.add(batch)
    assert (batch.count, summary.meters, summary.polls, summary.readings, summary.refused) == (0, 2, 0, 0, 0)


def test_registers_that_overflow_are_told() -> None:
    def too_much(meters: Meters, nodes: Any, at_ms: Any) -> Any:
        return np.full((len(nodes), len(FLOWS)), PER_WH * (1 << 31), np.int64)

    with pytest.raises(ConfigError, match="register"):
        next(produce([chain_domain()], 60.0, 1, contents=CONTENTS, energy=too_much))


def test_a_rule_of_the_stack_that_changes_is_found_where_patterns_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "DELTA_BACKLOG", (0, 0, 0))
    with pytest.raises(ConfigError, match="link header of an ordinary node"):
        frames.patterns_of(Contents(count=1))
    monkeypatch.undo()
    monkeypatch.setattr(frames, "_DOMAIN", b"\0")
    with pytest.raises(ConfigError, match="not where it is looked for"):
        frames._pattern(chain().frame(0)[:-2], Kind.REQUEST, [0, 1], 0, CONTENTS)


@pytest.mark.parametrize(
    "wishes", [{"poll_every_s": None}, {"report_every_s": None}, {"poll_every_s": None, "report_every_s": None}]
)
def test_loads_without_polls_or_reports_have_no_such_frames(wishes: dict[str, Any]) -> None:
    (batch,) = produce([chain_domain(**wishes)], 120.0, 1, contents=CONTENTS)
    kinds = set(batch.kind.tolist())
    assert kinds <= ({0, 1} if "report_every_s" in wishes else set()) | (
        {2} if "poll_every_s" in wishes and len(wishes) == 1 else set()
    )
    assert (batch.count > 0) == (len(wishes) == 1)
    assert all(has_crc(batch.frame(row)) and without_crc(batch.frame(row)) for row in range(batch.count))


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "gas"}, {"first": -1}, {"first": 19}, {"count": 0}, {"count": 22}, {"first": 5, "count": 18},
        {"start": dt.datetime(2026, 1, 1)}, {"start": dt.datetime(1999, 1, 1, tzinfo=dt.UTC)},
    ],
)  # fmt: skip
def test_contents_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Contents(**wrong)


def test_more_domains_than_identifiers_are_refused() -> None:
    with pytest.raises(ConfigError, match="identifiers"):
        next(produce([chain_domain()], 1.0, 1, contents=CONTENTS, first=1 << 24))


def test_keys_are_shown_nowhere() -> None:
    meters = chain().meters
    secret = meters.meter(1)
    shown = f"{meters!r} {secret!r} {meters.cipher(1)!r}"
    for key in (secret.umk, secret.ku(CONTENTS.profile)):
        assert key.secret().hex() not in shown
        assert repr(key.secret()) not in shown


def test_without_numba_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "osgp.sim.domains.content.kernels", None)
    monkeypatch.delattr("osgp.sim.domains.content.kernels", raising=False)
    with pytest.raises(ConfigError, match="Numba"):
        next(produce([chain_domain()], 1.0, 1, contents=CONTENTS, engine="reference"))


def test_importing_the_package_is_light() -> None:
    code = "import sys, osgp.sim.domains.content; print({'numpy', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
