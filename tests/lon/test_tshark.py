"""A conversation with every kind of frame, written as a capture and read by Wireshark's own dissectors, field by field.

Where tshark is wrong or silent, ``DEVIATIONS`` names the field and who decides instead.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osgp.lon.address import Broadcast, Group, SubnetNode, UniqueNodeId
from osgp.lon.apdu import Family, NvHeader, family
from osgp.lon.authpdu import AuthPdu
from osgp.lon.configuration import domain_entry
from osgp.lon.headers import read_pdu
from osgp.lon.ltep import Service
from osgp.lon.npdu import PduType
from osgp.lon.packet import packet_of
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.ports.capture import CaptureWriter, lon_frames
from tests.lon.talk import DOMAIN, KEY, OTHER_KEY, Talk, configuration, fresh, group_entry, node, of_kind

FIELDS = [
    *(f"cnip.{name}" for name in ("len", "ver", "type", "exth", "protocol", "vendorcode", "sessid", "seqno", "tstamp")),
    *(
        f"lon.{name}"
        for name in ("prio", "alt_path", "delta_bl", "vers", "pdufmt", "addrfmt", "domainlen", "srcnet", "srcnode")
    ),
    *(f"lon.{name}" for name in ("dstnet", "dstgrp", "dstnode", "grp", "grpmem", "uid", "domain", "auth", "tpdu_type")),
    *(f"lon.{name}" for name in ("spdu_type", "trans_no", "spdu.mlen", "spdu.mlist", "nv.dir", "nv.selector")),
    *(f"lon.{name}" for name in ("application", "nm", "nd", "ff")),
    "data.data",
]

DEVIATIONS = {
    "lon.dstgrp": "format 2b: tshark shows the destination subnet as a group; two stacks and digest 2.2 say subnet",
    "lon.authpdu_addrfmt": "tshark masks 0C; two stacks and digest 3.1 say C0",
    "lon.authpdu_type": "tshark masks 02; two stacks and digest 3.1 say 30",
    "lon.code": "tshark shows other bits of the first byte for each family; the family's own field has them all",
    "lon.spdu.mlist": "tshark shows the last byte of the member list only",
    "enhanced mode": "tshark takes the low byte of the transaction number for the APDU; two stacks and digest 3.1 say otherwise",
    "lon.uid": "in a service pin message tshark shows the unique node ID in the APDU, not an address",
    "4D": "tshark shows enhanced proxy messages as foreign frames without contents; digest 6.2 decides",
    "domain": "tshark shows the zero-length domain as missing",
}


def everything() -> Iterator[bytes]:
    """The golden frames, then what real stacks say to each other."""
    for vector in of_kind("lpdu"):
        yield bytes.fromhex(vector["hex"])
    for talk in (simple(), groups(), authenticated(False), authenticated(True), chains(), managed(), domains()):
        for frame in talk.spoken:
            yield bytes.fromhex(frame)


def simple() -> Talk:
    a, b = node(1, 10), node(1, 20)
    talk = Talk(a, b)
    talk.answers[b] = lambda message: message.apdu
    for priority in (False, True):
        options = Options(priority=priority, timer_s=0.1)
        for destination in (SubnetNode(1, 20), Broadcast(), Broadcast(1), UniqueNodeId(b.configuration.unique_node_id)):
            a.request(destination, b"\x01request", talk.now, options)
            a.request(destination, b"\x41foreign", talk.now, options)
            for service in (Service.ACKD, Service.UNACKD_RPT, Service.UNACKD):
                a.send(destination, b"\x02message", talk.now, options, service=service)
        talk.until(talk.now + 10)
    a.request(SubnetNode(1, 99), b"\x03nobody", talk.now)
    a.request(SubnetNode(1, 20), b"\x01", talk.now, Options(enhanced=True))
    for apdu in (b"\x81\x0d\x00\xca", b"\xc1\x0d", b"\xbf\xff\x00"):
        a.request(SubnetNode(1, 20), apdu, talk.now)
    a.send_service_pin(talk.now)
    talk.until(talk.now + 30)
    return talk


def groups() -> Talk:
    a = node(1, 10, group_entry(5, 0, 30))
    members = [node(1, 20 + member, group_entry(5, member, 30)) for member in (1, 2, 17, 20)]
    talk = Talk(a, *members)
    a.send(Group(5, 30), b"\x3a\x01", 0.0)
    a.request(Group(5, 3), b"\x51", 0.0)
    a.request(Group(5, 30), b"\x51", 0.0)
    a.send(Group(5), b"\x3a\x01", 0.0, service=Service.UNACKD)
    a.send(Group(5), b"\x3a\x01", 0.0, service=Service.UNACKD_RPT)
    talk.until(30.0)
    return talk


def authenticated(open_media: bool) -> Talk:
    def made(number: int) -> Stack:
        found = configuration(1, number, group_entry(5, number - 10, 2))
        found.domains[0] = domain_entry(DOMAIN, 1, number, KEY, authentication=int(open_media))
        found.domains[1].key = OTHER_KEY
        found.changed()
        return Stack(found, quiet_s=0)

    a, b = made(10), made(11)
    talk = Talk(a, b)
    talk.answers[b] = lambda message: message.apdu
    for destination in (SubnetNode(1, 11), UniqueNodeId(b.configuration.unique_node_id), Group(5, 2)):
        a.request(destination, b"\x3a\x01", 0.0, Options(authenticated=True))
        a.send(destination, b"\x3a\x02", 0.0, Options(authenticated=True))
    talk.until(10.0)
    return talk


def chains() -> Talk:
    nodes = [node(1, 10), node(1, 20), node(1, 30), node(2, 40), node(2, 50, group_entry(5, 1, 2))]
    talk = Talk(*nodes)
    hops = [Hop(1, 20), Hop(1, 30, True), Hop(2, 40)]
    for target in (SubnetNode(2, 50), UniqueNodeId(bytes((7, 0, 0, 0, 2, 50))), Group(5, 2), Group(5), Broadcast(2, 3)):
        service = Service.UNACKD if target == Group(5) else Service.REQUEST
        nodes[0].request_via(hops, target, b"\x51", talk.now, ChainOptions(service=service))
        talk.until(talk.now + 30)
    nodes[0].request_via(
        hops, Broadcast(), b"\x3a", talk.now, ChainOptions(service=Service.UNACKD_RPT, all_agents=True)
    )
    nodes[0].request_via(hops, SubnetNode(2, 99), b"\x51", talk.now, ChainOptions(target_alternate_path=True))
    talk.until(talk.now + 60)
    return talk


def managed() -> Talk:
    a, b = node(1, 10), fresh("0700000000c3")
    talk = Talk(a, b)
    target = UniqueNodeId(b.configuration.unique_node_id)
    for code in range(0x50, 0x80):
        for data in (b"", b"\x00", b"\x01\x00\x00\x04"):
            a.request(target, bytes((code,)) + data, talk.now, Options(retry=0, timer_s=0.016))
            talk.until(talk.now + 0.1)
    return talk


def domains() -> Talk:
    talk = Talk()
    for domain in (b"", b"\x01", b"\x01\x02\x03", b"\x01\x02\x03\x04\x05\x06"):
        pair = [Stack(configuration(1, number, domain=domain), quiet_s=0) for number in (10, 20)]
        part = Talk(*pair)
        for destination in (SubnetNode(1, 20), Broadcast(), UniqueNodeId(pair[1].configuration.unique_node_id)):
            pair[0].request(destination, b"\x51", part.now)
            part.until(part.now + 1)
        talk.frames += part.frames
    return talk


def expected(lpdu: bytes) -> dict[str, Any]:
    """What tshark should show of a frame, from our own layouts."""
    header, npdu, _ = packet_of(lpdu)
    control = npdu.control
    group_answer = npdu.member is not None
    shown: dict[str, Any] = {
        "lon.prio": header.priority,
        "lon.alt_path": header.alternate_path,
        "lon.delta_bl": header.delta_backlog,
        "lon.vers": control.version,
        "lon.pdufmt": control.pdu_type,
        "lon.addrfmt": control.address_format,
        "lon.domainlen": control.domain_length,
        "lon.srcnet": npdu.source_subnet,
        "lon.srcnode": npdu.source_node.node,
        "lon.domain": npdu.domain.hex() or "<MISSING>",
        "lon.uid": npdu.unique_node_id.hex() if npdu.unique_node_id is not None else None,
        "lon.dstnode": npdu.destination_node.node if npdu.destination_node is not None else None,
        "lon.dstnet": None if group_answer else npdu.destination_subnet,
        "lon.dstgrp": npdu.destination_subnet if group_answer else npdu.group,
        "lon.grp": npdu.group if group_answer else None,
        "lon.grpmem": npdu.member,
    }
    apdu = npdu.pdu
    if control.pdu_type == PduType.AUTHPDU:
        shown["lon.trans_no"] = AuthPdu.decode(npdu.pdu).header.transaction
        return shown
    if control.pdu_type != PduType.APDU:
        session = control.pdu_type == PduType.SPDU
        pdu = read_pdu(npdu.pdu, session, 0)
        shown["lon.auth"] = int(pdu.authenticated)
        shown["lon.trans_no"] = pdu.transaction
        shown["lon.spdu_type" if session else "lon.tpdu_type"] = pdu.type
        if pdu.members is not None:
            shown["lon.spdu.mlen"] = len(pdu.members)
            shown["lon.spdu.mlist"] = pdu.members[-1] if pdu.members else None
        apdu = pdu.apdu
    if not apdu:
        return shown
    code, data = apdu[0], apdu[1:]
    kind = family(code)
    if kind == Family.VARIABLE:
        word = NvHeader(int.from_bytes(apdu[:2], "big"))
        shown["lon.nv.dir"], shown["lon.nv.selector"] = word.direction, word.selector
        data = apdu[2:]
    else:
        name = {
            Family.APPLICATION: "application",
            Family.MANAGEMENT: "nm",
            Family.DIAGNOSTIC: "nd",
            Family.FOREIGN: "ff",
        }[kind]
        shown[f"lon.{name}"] = code
    if code == 0x7F:  # shown field by field, and nothing of it where it is too short
        if len(apdu) == 15:
            shown["lon.uid"] = apdu[1:7].hex()
        return shown
    shown["data.data"] = data.hex() or None
    return shown


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    """Every different frame of the conversation."""
    return list(dict.fromkeys(everything()))


@pytest.fixture(scope="module")
def dissected(frames: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What tshark shows of each."""
    path = tmp_path_factory.mktemp("tshark") / "conversation.pcap"
    with CaptureWriter(path, hide_keys=False) as writer:
        for number, frame in enumerate(frames):
            writer.write_lpdu(frame, number * 0.25)
    assert [found.lpdu for found in lon_frames(path)] == frames
    return shown_by_tshark(path)


def shown_by_tshark(path: Path) -> list[dict[str, str]]:
    """One dictionary for each frame of a capture, by tshark's field names; empty fields are left out."""
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "separator=|"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [
        {name: value for name, value in zip(FIELDS, line.split("|"), strict=True) if value}
        for line in done.stdout.splitlines()
    ]


def number(text: str | None) -> int | None:
    """A number as tshark writes it."""
    return None if text is None else int(text, 0)


def test_tshark_reads_every_frame_as_we_do(frames: list[bytes], dissected: list[dict[str, str]]) -> None:
    assert len(dissected) == len(frames)
    compared = 0
    for frame, shown in zip(frames, dissected, strict=True):
        wanted = expected(frame)
        enhanced = packet_of(frame).npdu.control.version == 2
        for name in FIELDS:
            if name.startswith("cnip.") or (
                enhanced and name not in ("lon.prio", "lon.vers", "lon.srcnode", "lon.domain")
            ):
                continue
            found: Any = shown.get(name)
            value = wanted.get(name)
            if name not in ("lon.uid", "lon.domain", "data.data"):
                found = number(found)
            assert found == value, f"{frame.hex()}: {name}"
            compared += value is not None
    assert compared > 5000


def test_tshark_reads_the_carrier(frames: list[bytes], dissected: list[dict[str, str]]) -> None:
    for place, (frame, shown) in enumerate(zip(frames, dissected, strict=True)):
        assert number(shown["cnip.len"]) == 20 + len(frame)
        assert number(shown["cnip.type"]) == 1
        assert number(shown["cnip.ver"]) == 1
        assert number(shown["cnip.seqno"]) == place + 1
        assert number(shown["cnip.tstamp"]) == place * 250


def test_the_conversation_has_every_kind_of_frame(frames: list[bytes]) -> None:
    kinds: set[tuple[int, bool]] = set()
    types: set[tuple[int, int]] = set()
    lengths, codes, versions, proxied = set(), set(), set(), set()
    for frame in frames:
        npdu = packet_of(frame).npdu
        control = npdu.control
        kinds.add((control.address_format, npdu.member is not None))
        lengths.add(control.domain_length)
        versions.add(control.version)
        if control.pdu_type == PduType.AUTHPDU:
            types.add((2, AuthPdu.decode(npdu.pdu).header.type))
        elif control.pdu_type == PduType.APDU:
            types.add((3, 0))
            codes.add(npdu.pdu[0])
        else:
            pdu = read_pdu(npdu.pdu, control.pdu_type == PduType.SPDU, control.version)
            types.add((control.pdu_type, pdu.type))
            if pdu.apdu:
                codes.add(pdu.apdu[0])
                if pdu.apdu[0] == 0x4D and len(pdu.apdu) > 1:
                    proxied.add(pdu.apdu[1] & 0xF0)
    assert kinds == {(0, False), (1, False), (2, False), (2, True), (3, False)}
    assert lengths == {0, 1, 2, 3}
    assert versions == {0, 2}
    assert types == {
        (0, 0),
        (0, 1),
        (0, 2),
        (0, 4),
        (0, 5),
        (1, 0),
        (1, 2),
        (1, 4),
        (1, 5),
        (2, 0),
        (2, 1),
        (2, 2),
        (2, 3),
        (3, 0),
    }
    assert set(range(0x50, 0x80)) <= codes
    assert {0x4C, 0x4D} <= codes
    assert {0x00, 0x10, 0x20, 0x40, 0x80} <= proxied, "plain, both uniform forms, all agents, long timer"


def test_every_deviation_is_seen(frames: list[bytes], dissected: list[dict[str, str]]) -> None:
    """The day tshark is repaired this test says so, and a line of the table goes."""
    by_frame = dict(zip(frames, dissected, strict=True))
    group_answer = by_frame[bytes.fromhex("00090117018a05034920")]
    assert number(group_answer["lon.dstgrp"]) == 1
    assert "lon.dstnet" not in group_answer
    enhanced = by_frame[bytes.fromhex("0199018a019449012351")]
    assert number(enhanced["lon.application"]) == 0x23
    long_list = by_frame[bytes.fromhex("0005018a054940030e0016")]
    assert number(long_list["lon.spdu.mlist"]) == 0x16
    assert set(DEVIATIONS) >= {"lon.dstgrp", "enhanced mode", "lon.spdu.mlist"}
