"""The loops over frames, compiled: a trace to its deliveries, deliveries to bytes, bytes checked at the receiving end.

Import this module only at need: it imports Numba. No layout is in it; whatever says where something stands comes as an argument, so
that Numba's cache, which asks this file alone whether it has changed, never meets another layout than the one it was given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from osgp.wire.kernels import crc_register, njit, uint8, uint16

__all__ = ["check", "deliveries", "judge", "write"]


@njit(cache=True, nogil=True)
def deliveries(
    trace: Any, events: Any, kinds: Any, way: Any, legs: Any, turn: Any, first: Any, report_slot: Any,
    time: Any, sender: Any, receiver: Any, kind: Any, meter: Any, message: Any, behind: Any, carrier: Any, number: Any,
    captured: Any, asked: Any, executed: Any,
) -> Any:  # fmt: skip
    """The frames of a trace that came through, as columns, and when each request was carried out. How many frames there are.

    ``events``: numbers of received, captured, polled, failed. ``kinds``: of request, response. ``turn`` (nodes): place of a meter in
    the round of polling; ``first`` (places + 1): where its exchanges begin in the order by meter; ``report_slot``: place of each
    report in the order by meter. ``asked``: the exchange that the concentrator waits for when a frame comes, in the same order, or -1.
    """
    received, captured_it, polled, failed = events
    request, response = kinds
    round_of = len(first) - 1
    found, open_slot = 0, -1
    for row in range(len(trace)):
        what = trace[row, 1]
        if what == polled:
            number_of = trace[row, 6]
            open_slot = first[turn[trace[row, 5]]] + (number_of - 1) // round_of
        elif what == failed:
            open_slot = -1
        if what != received and what != captured_it:
            continue
        here, there, its_kind, its_meter = trace[row, 2], trace[row, 3], trace[row, 4], trace[row, 5]
        its_number = trace[row, 6]
        if its_kind in (request, response):
            slot = first[turn[its_meter]] + (its_number - 1) // round_of
        else:
            slot = report_slot[its_number - 1]
        place = 0
        while way[its_meter, place] != there:
            place += 1
        time[found] = trace[row, 0]
        sender[found] = there
        receiver[found] = here
        kind[found] = its_kind
        meter[found] = its_meter
        message[found] = slot
        behind[found] = legs[its_meter] - place - 1 if its_kind == request else place - 1
        carrier[found] = trace[row, 7]
        number[found] = its_number
        captured[found] = what == captured_it
        asked[found] = open_slot if here == 0 else -1
        if its_kind == request and here == its_meter and executed[slot] < 0:
            executed[slot] = trace[row, 0]
        if its_kind == response and here == 0 and open_slot == slot:
            open_slot = -1
        found += 1
    return found


@njit(cache=True, nogil=True)
def write(
    kind: Any, meter: Any, message: Any, behind: Any, sender: Any, receiver: Any, carrier: Any, number: Any, bodies: Any,
    body_sizes: Any, way: Any, way_carrier: Any, legs: Any, addresses: Any, domain: Any, patterns: Any, places: Any,
    paths: Any, numbers: Any, tables: Any, request: Any, frames: Any, sizes: Any,
) -> None:  # fmt: skip
    """The bytes of delivered frames, CRC included, zeros behind their ends.

    ``bodies`` (messages, longest): secured messages of all kinds; ``message`` counts in it. ``paths``: the bits of the alternate path
    in link header, hop and target control. ``numbers``: transaction numbers are 1 to this.
    """
    in_link, in_hop, in_target = paths
    most_legs = way_carrier.shape[1]
    for row in range(len(kind)):
        its_kind, its_meter, left = int(kind[row]), int(meter[row]), int(behind[row])
        count = int(legs[its_meter])
        pattern = (its_kind * most_legs + count - 1) * most_legs + left
        (
            source_subnet, source_node, destination_subnet, destination_node, domain_at, transaction, hops, hop_count,
            control, target, body_at, size,
        ) = places[pattern]  # fmt: skip
        frame = frames[row]
        frame[:] = patterns[pattern]
        if carrier[row]:
            frame[0] |= uint8(in_link)
        frame[source_subnet] = addresses[sender[row], 0]
        frame[source_node] |= addresses[sender[row], 1]
        frame[destination_subnet] = addresses[receiver[row], 0]
        frame[destination_node] |= addresses[receiver[row], 1]
        for at in range(len(domain)):
            frame[domain_at + at] = domain[at]
        if transaction >= 0:
            frame[transaction] |= uint8(1 + (number[row] - 1) % numbers)
        # Places on the way, the concentrator's is 0; a repeater is named with the carrier of the leg that leads to it.
        here = count - left if its_kind == request else left
        for at in range(hop_count):
            place = here + 1 + at if its_kind == request else here - 1 - at
            leg = place - 1 if its_kind == request else place
            frame[hops + at] |= addresses[way[its_meter, place], 1]
            if way_carrier[its_meter, leg]:
                frame[hops + at] |= uint8(in_hop)
        if control >= 0:
            last = count - 1 if its_kind == request else 0
            if way_carrier[its_meter, last]:
                frame[control] |= uint8(in_target)
        if target >= 0:
            frame[target] = addresses[its_meter, 1]
        body = bodies[message[row]]
        for at in range(body_sizes[its_kind]):
            frame[body_at + at] = body[at]
        register = crc_register(frame, 0, size - 2, tables) ^ uint16(0xFFFF)
        frame[size - 2] = uint8(register >> 8)
        frame[size - 1] = uint8(register & 0xFF)
        sizes[row] = size


@njit(cache=True, nogil=True)
def check(
    frames: Any, sizes: Any, receiver: Any, addresses: Any, domain: Any, header: Any, session: Any, plain: Any,
    chain: Any, codes: Any, body_sizes: Any, tables: Any, residue: Any, roles: Any, role: Any, body_at: Any,
) -> None:  # fmt: skip
    """What each frame is to the node that it came to, by its bytes alone; ``body_at``: where the message for that node begins.

    ``header``: offsets of control byte, destination subnet, destination node, domain, PDU; mask of the node, least size. ``session``:
    control byte of session frames, first bytes of a request and of a response with number 0, mask of the number.
    ``plain``: control byte of frames without session. ``chain``: code, offset of its header, mask of the count, masks of the uniform
    flags, of the target type in the control's first byte, its shift, bytes of the target by type (8). ``codes``: of requests and
    alerts. ``roles``: handed on, request here, response here, alert here, bad CRC, misdirected, unreadable.
    """
    control_at, subnet_at, node_at, domain_at, pdu_at, node_mask, least = header
    with_session, first_request, first_response, number_mask = session
    proxy, chain_header, count_mask, uniform_mask, type_mask, type_shift = chain[:6]
    request_code, alert_code = codes
    handed_on, request_here, response_here, alert_here, bad_crc, misdirected, unreadable = roles
    for row in range(len(frames)):
        frame, size, here = frames[row], int(sizes[row]), receiver[row]
        body_at[row] = 0
        if size < least or size > len(frame):
            role[row] = unreadable
            continue
        if crc_register(frame, 0, size, tables) != residue:
            role[row] = bad_crc
            continue
        control = frame[control_at]
        if control != with_session and control != plain:
            role[row] = unreadable
            continue
        mine = frame[subnet_at] == addresses[here, 0] and frame[node_at] & node_mask == addresses[here, 1]
        for at in range(len(domain)):
            mine = mine and frame[domain_at + at] == domain[at]
        if not mine:
            role[row] = misdirected
            continue
        body = pdu_at
        asks = True
        if control == with_session:
            first = frame[pdu_at] & ~number_mask
            asks = first == first_request
            if not asks and first != first_response:
                role[row] = unreadable
                continue
            body += 1
        length = size - 2 - body
        code = frame[body] if length > 0 else -1
        body_at[row] = body
        role[row] = unreadable
        if not asks:
            if code & ~1 == request_code and length == body_sizes[1]:
                role[row] = response_here if here == 0 else handed_on
        elif code == proxy:
            if length < chain_header + 1:
                continue
            flags = frame[body + chain_header]
            count = int(flags & count_mask)
            inside = chain_header + 1 + count * (1 if flags & uniform_mask else 2) + (1 if count else 0)
            if length < inside + 2:
                continue
            inside += 2 + chain[6 + ((frame[body + inside] & type_mask) >> type_shift)]
            wanted = body_sizes[0] if control == with_session else body_sizes[2]
            if length == inside + wanted:
                role[row] = handed_on
                body_at[row] = body + inside
        elif control == with_session:
            if code & ~1 == request_code and length == body_sizes[0] and here != 0:
                role[row] = request_here
        elif code & ~1 == alert_code and length == body_sizes[2] and here == 0:
            role[row] = alert_here


@njit(cache=True, nogil=True)
def judge(owner: Any, number: Any, good: Any, messages: Any, last: Any, most: Any, verdicts: Any, verdict: Any) -> None:
    """The counters of 3.3: messages in the order in which they came, each of an owner whose last number is ``last[owner]``.

    The very message once more is a repeat. ``verdicts``: accepted, repeated, replayed, bad tag.
    """
    accepted, repeated, replayed, bad_tag = verdicts
    seen = np.full(len(last), -1, np.int64)
    for row in range(len(owner)):
        whose = owner[row]
        before = seen[whose]
        if before >= 0:
            same = True
            for at in range(messages.shape[1]):
                if messages[row, at] != messages[before, at]:
                    same = False
                    break
            if same:
                verdict[row] = repeated
                continue
        if not good[row]:
            verdict[row] = bad_tag
        elif last[whose] < number[row] <= most:
            verdict[row] = accepted
            last[whose] = number[row]
            seen[whose] = row
        else:
            verdict[row] = replayed
