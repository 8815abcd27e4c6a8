"""Tables, procedures, transactions and registration over the machines."""

from __future__ import annotations

from typing import Any

import pytest
from tests.mep.mep_device import BIG, ET13, ET14, ET50, ET51, ET59, ET85, PATTERN, Device, Site
from tests.mep.mep_peer import raw

from osgp.mep.access import EP17, EP61, ET52_NUMBER, ET53_NUMBER, IncompleteTransaction, MepTables
from osgp.mep.client import PossiblyExecuted
from osgp.mep.frame import framed
from osgp.mep.registration import (
    CLEAR_DELTA_ALERT,
    AlertFlags,
    alert_flags,
    ep17_parameters,
    ep19_parameters,
    ep39_parameters,
    find_port,
    identification,
    register,
    watch_health,
)
from osgp.tables.access import ProcedureResult, TableAccess
from osgp.tables.procedures.ep19 import EP19
from osgp.tables.services import (
    Busy,
    FullRead,
    FullWrite,
    NotInConfiguration,
    NotPossible,
    PartialRead,
    PartialWrite,
    encode_request,
)
from osgp.wire.errors import ConfigError, NoAnswer, RemoteProtocolError

BP10 = 10
READ_BT23 = encode_request(PartialRead(23, 0, 44), checksum=False)


# ---- reads and writes ----
def test_it_is_a_table_access() -> None:
    tables: TableAccess = Site().tables
    assert isinstance(tables, TableAccess)


@pytest.mark.parametrize("tls", [False, True])
def test_a_full_read_asks_with_a_length_and_gives_the_true_size(tls: bool) -> None:
    site = Site(tls=tls)
    assert site.do(site.tables.read(23)) == PATTERN[:220]
    assert site.device.log == [FullRead(23, 0x200)]


@pytest.mark.parametrize(("tls", "most"), [(False, 465), (True, 443)])
def test_large_tables_are_read_in_parts_that_fit(tls: bool, most: int) -> None:
    site = Site(tls=tls, size_of={28: 1200}.get)
    assert site.do(site.tables.read(28)) == BIG
    assert [request.count for request in site.device.log] == [most, most, 1200 - 2 * most]


def test_field_chunked_reads_avoid_full_reads() -> None:
    """Meters of generation 4 that answer 0B and 0C to full reads now and then are cured by partial reads."""
    site = Site(chunked_reads=True, size_of={23: 220}.get)
    assert site.do(site.tables.read(23)) == PATTERN[:220]
    assert not site.logged(FullRead, 23)


def test_a_partial_read_beyond_the_end_is_zeros() -> None:
    site = Site()
    assert site.do(site.tables.read_part(23, 218, 6)) == PATTERN[218:220] + bytes(4)


def test_a_table_that_is_not_there() -> None:
    site = Site()
    with pytest.raises(NotInConfiguration, match="ET70"):
        site.do(site.tables.read(2048 + 70))


@pytest.mark.parametrize(("tls", "sizes"), [(False, [456, 456, 288]), (True, [438, 438, 324])])
def test_large_writes_are_cut_to_fit(tls: bool, sizes: list[int]) -> None:
    site = Site(tls=tls)
    site.do(site.tables.write(28, BIG[::-1]))
    assert site.device.tables[28] == BIG[::-1]
    assert [len(request.data) for request in site.logged(PartialWrite, 28)] == sizes


@pytest.mark.parametrize("size", [180, 372, 183, 375])
def test_sizes_that_meters_may_sign_differently_are_avoided_in_rc4(size: int) -> None:
    for tls in (False, True):
        site = Site(tls=tls)
        site.do(site.tables.write(28, PATTERN[:size]))
        site.do(site.tables.write_part(28, 500, PATTERN[:size]))
        assert bytes(site.device.tables[28][:size]) == PATTERN[:size]
        assert bytes(site.device.tables[28][500 : 500 + size]) == PATTERN[:size]
        ends = [
            (len(encode_request(request, checksum=False)) + 4) % 192
            for request in site.device.log
            if isinstance(request, FullWrite | PartialWrite)
        ]
        assert tls or 0 not in ends


def test_writes_are_confirmed_in_rc4_and_need_not_be_in_tls() -> None:
    for tls in (False, True):
        site = Site(tls=tls)
        site.do(site.tables.write_part(23, 4, b"\x55\xaa"))
        assert len(site.logged(PartialRead, 23)) == (0 if tls else 1)


def forger(direction: str, data: bytes) -> list[tuple[float, bytes]]:
    """Somebody on the line who swallows writes and answers them himself, without any key."""
    if direction == "up" and len(data) > 14 and data[2] in (0x40, 0x4F):
        forgeries.append(framed(b"\0" + data[-8:]))
        return []
    return [(0.0, data)]


forgeries: list[bytes] = []


def test_a_forged_acknowledgement_is_found_by_reading_back() -> None:
    """Without ``confirm_writes`` the forgery passes (the weakness of spec section 14); with it, it is noticed."""
    for confirm in (False, True):
        site = Site(pipe=forger, confirm_writes=confirm)
        ask = site.world.ask
        forgeries.clear()

        def forged(message: bytes, *, read: bool, site: Site = site, ask: Any = ask, **options: Any) -> Any:
            if read:
                return ask(message, read=read, **options)
            world = site.world
            before = len(world.client_events)
            world.client.request(message, world.now, read=read)
            while not forgeries:
                world.step()
            world.client.receive(forgeries.pop(), world.now)
            world.run(lambda: not world.client.busy)
            return world.client_events[before:][-1]

        site.world.ask = forged  # type: ignore[method-assign]  # the test stands between the machines
        if confirm:
            with pytest.raises(RemoteProtocolError, match="reads back differently"):
                site.do(site.tables.write_part(23, 0, b"\x99"))
        else:
            site.do(site.tables.write_part(23, 0, b"\x99"))
        assert site.device.tables[23][0] == PATTERN[0]


class Loses:
    """Loses the first answers to writes."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.writing = False

    def __call__(self, direction: str, data: bytes) -> list[tuple[float, bytes]]:
        if direction == "up":
            self.writing = data[2] in (0x40, 0x4F)
        elif self.writing and self.left:
            self.left -= 1
            return []
        return [(0.0, data)]


def test_a_write_whose_answer_was_lost_is_looked_up_and_not_repeated() -> None:
    site = Site(pipe=Loses(1))
    site.do(site.tables.write_part(23, 0, b"\x99"))
    assert site.device.tables[23][0] == 0x99
    assert len(site.logged(PartialWrite, 23)) == 1


def test_a_procedure_whose_answer_was_lost_is_looked_up_and_not_repeated() -> None:
    site = Site(pipe=Loses(1))
    site.device.results[BP10] = lambda parameters: (0, b"\x07")
    assert site.do(site.tables.run(BP10, b"\1")).data[:1] == b"\x07"
    assert len(site.device.psns) == 1


def test_a_procedure_that_never_answers_after_a_lost_answer_is_a_doubt() -> None:
    site = Site(pipe=Loses(1))
    site.device.response_table = ET59
    with pytest.raises(PossiblyExecuted):
        site.do(site.tables.run(BP10))
    assert len(site.device.psns) == 1


# ---- what it costs ----
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("size", [1, 44, 220])
def test_costs_are_what_goes_over_the_line(tls: bool, size: int) -> None:
    site = Site(tls=tls, confirm_writes=False)
    world, costs = site.world, site.tables.costs
    site.do(site.tables.read_part(23, 0, 1))  # sequence number or handshake

    def bytes_of(coroutine: Any) -> int:
        before = len(world.to_server) + len(world.to_client)
        site.do(coroutine)
        return len(world.to_server) + len(world.to_client) - before

    assert bytes_of(site.tables.read_part(23, 0, size)) == costs.read_bytes(size, full=False)
    assert bytes_of(site.tables.read(23)) == costs.read_bytes(220, full=True)
    assert bytes_of(site.tables.write_part(23, 0, bytes(size))) == costs.part_write_overhead + size
    assert bytes_of(site.tables.write(23, bytes(size))) == costs.full_write_overhead + size
    assert (costs.max_read, costs.max_write) == ((443, 438) if tls else (465, 456))


# ---- procedures ----
def test_procedure_numbers_run_from_5_to_9_and_never_repeat() -> None:
    site = Site()
    site.device.results[BP10] = lambda parameters: (0, parameters)
    for _ in range(12):
        assert site.do(site.tables.run(BP10, b"\x11\x22")).data[:2] == b"\x11\x22"
    assert set(site.device.psns) == {5, 6, 7, 8, 9}
    assert all(a != b for a, b in zip(site.device.psns, site.device.psns[1:]))


def test_the_first_number_differs_from_what_stands_in_the_response_table() -> None:
    site = Site()
    site.device.post(BP10, 7, 0)
    site.device.results[BP10] = lambda parameters: (0, b"")
    site.do(site.tables.run(BP10))
    assert site.device.psns == [8]


def test_a_number_that_is_refused_is_changed() -> None:
    site = Site()
    site.device.psns.append(5)
    site.device.results[BP10] = lambda parameters: (0, b"")
    assert site.do(site.tables.run(BP10)) == ProcedureResult(BP10, 6, 0, bytes(12))


def test_refused_for_another_reason_too_often() -> None:
    site = Site()
    site.device._procedure = lambda data: 4  # type: ignore[method-assign]  # a device that cannot now
    with pytest.raises(NotPossible):
        site.do(site.tables.run(BP10))


def test_ep17_as_in_the_guide() -> None:
    site = Site()
    site.device.results[EP17] = lambda parameters: (0, b"")
    site.device.post(1, 6, 0)
    assert site.do(site.tables.run(EP17, ep17_parameters(0x03F8))).sequence == 7
    [order] = site.logged(FullWrite, 7)
    assert encode_request(order, checksum=False) == raw("procedure-ep17-remove-device")[2:13]


def test_a_procedure_that_goes_on_is_asked_again() -> None:
    site = Site()
    site.device.results[EP17] = lambda parameters: (1, b"")
    sleep = site.tables.sleep

    async def later(seconds: float) -> None:
        await sleep(seconds)
        if site.waited > 0.9:
            site.device.post(EP17, site.device.psns[-1], 0)

    site.tables.sleep = later
    assert site.do(site.tables.run(EP17, ep17_parameters(1))).result == 0
    assert 0.9 < site.waited < 1.5


def test_one_that_never_ends_gives_its_last_result() -> None:
    site = Site()
    site.device.results[EP17] = lambda parameters: (1, b"")
    assert site.do(site.tables.run(EP17)).result == 1
    assert site.waited == pytest.approx(2.0)


def test_a_result_1_is_final_for_others() -> None:
    site = Site()
    site.device.results[BP10] = lambda parameters: (1, b"")
    assert site.do(site.tables.run(BP10)).result == 1
    assert site.waited == 0


def test_responses_of_other_users_are_not_ours() -> None:
    """Power line and optical users answer in BT08 too."""
    site = Site()
    site.device.results[BP10] = lambda parameters: (0, b"")
    post = site.device.post
    site.device.post = lambda *args: post(3, 200, 0)  # type: ignore[method-assign]  # somebody else was later
    with pytest.raises(NoAnswer, match="BT08"):
        site.do(site.tables.run(BP10))


def test_long_parameters_travel_in_a_transaction() -> None:
    site = Site()
    seen: list[bytes] = []
    site.device.results[2048 + 39] = lambda parameters: (len(seen.append(parameters) or b""), b"")  # type: ignore[func-returns-value]  # records
    parameters = ep39_parameters(4, bytes(range(256)) + b"more")
    assert site.do(site.tables.run(2048 + 39, parameters)).result == 0
    assert seen == [parameters]
    assert not site.logged(FullWrite, ET52_NUMBER)


@pytest.mark.parametrize("size", [175, 180, 183])
def test_orders_avoid_the_sizes_too(size: int) -> None:
    site = Site()
    site.device.results[BP10] = lambda parameters: (0, bytes([len(parameters)]))
    assert site.do(site.tables.run(BP10, bytes(size - 3))).data[0] == size - 3


def test_parameters_of_named_procedures() -> None:
    assert ep17_parameters(0x03F8) == bytes.fromhex("00f803")
    assert ep39_parameters(4, bytes(6)) == bytes.fromhex("040106 00".replace(" ", "")) + bytes(6)
    assert ep39_parameters(CLEAR_DELTA_ALERT)[0] == 12
    value = EP19.Parameters.decode(ep19_parameters(0x0400, 1000, 4, b"abc"))
    assert (value.trans_nbr, value.target, value.request_type) == (0x0400, 1000, 4)
    with pytest.raises(ConfigError):
        ep19_parameters(3, 1, 2)


# ---- transactions ----
@pytest.mark.parametrize("tls", [False, True])
def test_several_requests_in_one_go(tls: bool) -> None:
    site = Site(tls=tls)
    messages = [
        READ_BT23,
        encode_request(PartialWrite(23, 0, b"\x11\x22"), checksum=False),
        encode_request(PartialRead(23, 0, 2), checksum=False),
        encode_request(PartialRead(999, 0, 2), checksum=False),
    ]
    answers = site.do(site.tables.transaction(messages))
    assert answers == [(0, PATTERN[:44]), (0, b""), (0, b"\x11\x22"), (5, b"")]


def test_the_guides_one_read_transaction() -> None:
    site = Site()
    site.device.transactions.response[3] = 1  # the last one had number 1
    site.do(site.tables.transaction([READ_BT23]))
    [order] = site.logged(PartialWrite, ET52_NUMBER)
    assert encode_request(order, checksum=False) == raw("transaction-single-read-template")[2:]


def test_a_large_transaction_is_written_and_read_in_parts_from_first_to_last_byte() -> None:
    site = Site()
    messages = [encode_request(PartialRead(28, 20 * n, 20), checksum=False) for n in range(60)]
    answers = site.do(site.tables.transaction(messages[:60]))
    assert b"".join(data for _, data in answers) == BIG
    orders = site.logged(PartialWrite, ET52_NUMBER)
    assert [order.offset for order in orders] == [0, 456]


def test_transaction_numbers_differ_and_a_dropped_one_is_repeated() -> None:
    site = Site()
    site.device.deaf_transactions = 1
    assert site.do(site.tables.transaction([READ_BT23])) == [(0, PATTERN[:44])]
    assert site.do(site.tables.transaction([READ_BT23])) == [(0, PATTERN[:44])]
    numbers = [order.data[3] for order in site.logged(PartialWrite, ET52_NUMBER)]
    assert numbers == [1, 1, 2]


def test_one_that_is_never_answered() -> None:
    site = Site()
    site.device.deaf_transactions = 9
    with pytest.raises(NoAnswer):
        site.do(site.tables.transaction([READ_BT23]))


def test_what_does_not_fit_is_refused_before_sending() -> None:
    site = Site()
    for messages in (
        [],
        [b""],
        [b"\x55"],
        [READ_BT23] * 80,
        [encode_request(PartialRead(28, 0, 1000), checksum=False)] * 2,
    ):
        with pytest.raises(ConfigError):
            site.do(site.tables.transaction(messages))
    assert site.device.log == []


def test_answers_that_do_not_fit_are_handed_over_in_part() -> None:
    site = Site(response_size=10_000)
    big = encode_request(PartialRead(28, 0, 1000), checksum=False)
    with pytest.raises(IncompleteTransaction) as caught:
        site.do(site.tables.transaction([big, big]))
    assert caught.value.answers == [(0, BIG[:1000])]


def test_two_ports_lock_and_unlock() -> None:
    site = Site(two_ports=True)
    site.device.results[EP61] = lambda parameters: (0, b"")
    site.do(site.tables.transaction([READ_BT23]))
    orders = [order.data for order in site.logged(FullWrite, 7)]
    assert [order[3:] for order in orders] == [b"\1", b"\0"]
    assert orders[0][:2] == bytes.fromhex("3d08")


def test_the_other_client_holds_the_lock() -> None:
    site = Site(two_ports=True)
    site.device.results[EP61] = lambda parameters: (3, b"")
    with pytest.raises(Busy):
        site.do(site.tables.transaction([READ_BT23]))
    assert not site.logged(PartialWrite, ET52_NUMBER)


# ---- registration ----
IDENTITY = identification(b"\x10\x20\x30", 5, bytes([1, 2, 3, 4]), b"unit 7")


def test_an_identification() -> None:
    assert bytes.fromhex("9020300504010203040 6".replace(" ", "")) + b"unit 7" + bytes(14) == IDENTITY
    for bad in [(b"12", 5, b"", b""), (b"123", 5, b"12345", b""), (b"123", 5, b"1234", bytes(30))]:
        with pytest.raises(ConfigError):
            identification(*bad)


@pytest.mark.parametrize(
    ("device", "number", "two", "table"),
    [(Device(), 1, False, 8), (Device(1, two=True), 1, True, 8), (Device(2, two=True), 2, True, ET85)],
)
def test_the_port_is_found(device: Device, number: int, two: bool, table: int) -> None:
    site = Site(device)
    port = site.do(find_port(site.tables))
    assert (port.number, port.two, port.response_table) == (number, two, table)
    assert (port.config_size, port.status_size, port.inbound_size) == (66, 36, 71)
    assert (site.tables.two_ports, site.tables.request_size, site.tables.response_table) == (two, 896, table)


@pytest.mark.parametrize("number", [1, 2])
def test_registration_from_scratch(number: int) -> None:
    site = Site(Device(number, two=True))
    done = site.do(register(site.tables, IDENTITY, mbus_alerts=True))
    assert (done.handle, done.new) == (1000, True)
    element = site.device.tables[ET50][71 * (number - 1) :][:31]
    assert element == IDENTITY + bytes([0b0111 if number == 1 else 0b0101])
    assert site.tables.response_table == (ET59 if number == 1 else ET85)


def test_registering_again_does_nothing() -> None:
    site = Site()
    site.do(register(site.tables, IDENTITY))
    site.device.log.clear()
    assert not site.do(register(site.tables, IDENTITY)).new
    assert not [request for request in site.device.log if isinstance(request, FullWrite | PartialWrite)]


def test_another_device_is_removed_first() -> None:
    site = Site()
    other = identification(b"\x11\x11\x11", 1, b"", b"old")
    site.do(register(site.tables, other, et59=False))
    removed: list[bytes] = []

    def remove(parameters: bytes) -> tuple[int, bytes]:
        removed.append(parameters)
        site.device.tables[ET14][5] = 0
        site.device.tables[ET50][30] = 0
        return 0, b""

    site.device.results[EP17] = remove
    site.device.handle_given = 1001
    assert site.do(register(site.tables, IDENTITY, et59=False, control_point=True)).handle == 1001
    assert removed == [ep17_parameters(1000)]
    assert site.device.tables[ET13][4 * 66 + 3] == 4


def test_a_meter_that_takes_no_notice() -> None:
    site = Site()
    site.device._registered = lambda: None  # type: ignore[method-assign]  # a deaf meter
    with pytest.raises(RemoteProtocolError, match="registration"):
        site.do(register(site.tables, IDENTITY, polls=3))
    assert site.waited == pytest.approx(1.5)


@pytest.mark.parametrize("number", [1, 2])
def test_why_the_meter_rings(number: int) -> None:
    site = Site(Device(number, two=True))
    port = site.do(find_port(site.tables))
    site.device.tables[ET13][(3 + number) * 66 + 8] = 0b01010
    assert site.do(alert_flags(site.tables, port)) == AlertFlags(ondemand_request=1, mbus_change=1)
    assert site.device.log[-1].offset == (272 if number == 1 else 338)


def test_the_health_watch() -> None:
    site = Site()
    port = site.do(find_port(site.tables))
    site.device.tables[ET51][0] = 0x01
    site.do(watch_health(site.tables, port, 300, reset=True))
    assert site.device.tables[ET51][:3] == b"\x07\x2c\x01"
    site.do(watch_health(site.tables, port, 0))
    assert site.device.tables[ET51][:3] == b"\x01\x3c\x00"
    with pytest.raises(ConfigError):
        site.do(watch_health(site.tables, port, 70_000))


def test_an_empty_answer_is_refused_in_rc4() -> None:
    site = Site()
    site.device.tables[23] = bytearray()

    async def exchange(message: bytes, read: bool) -> bytes:
        return b"\0\0\0"

    tables = MepTables(exchange, site.sleep, tls=False)
    for coroutine in (tables.read(23), tables.read_part(23, 0, 4), tables.read_part(ET53_NUMBER, 0, 5)):
        with pytest.raises(RemoteProtocolError):
            site.do(coroutine)
