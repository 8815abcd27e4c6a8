"""ET16 MEP/M-Bus Device Data (MEP guide p. 92; optical guide p. 42)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import INDEX, MANY, Bits, Case, LTime, Struct, all_of, at, bit
from osgp.wire import fields as f

__all__ = ["ET16"]


class ET16(
    Table,
    number=2064,
    title="MEP/M-Bus Device Data",
    role="data",
    source="MEP guide p. 92; optical guide p. 42",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
    notes=(
        ("One MBR (MEP Billing Read) per device slot; the same MBR is embedded in ET45 and ET74 entries."),
        (
            "M-Bus telegram repetition: one or more telegrams up to the record size, last may be "
            "incomplete; bytes in use are ET14.DEVICE_STATUS[].BILLING_READ_LEN."
        ),
        (
            "The terminator byte of a variable telegram is counted in LENGTH (12 header + data + "
            "1). Stop at a LENGTH of 0, after BILLING_READ_LEN bytes, or when the last telegram "
            "runs past the record (it may be cut)."
        ),
    ),
):
    """MEP/M-Bus Device Data."""

    class DeviceData(Struct, floor="tables"):
        """MBR per device."""

        timestamp: LTime = f.ltime(vci="M", doc="local time of last successful read")

        class ResponseInfo(Bits, size=1):
            """How to read the M-Bus data (n/a for MEP)."""

            data_order: int = bit(
                0, 1, values={0: "mode 1, LSB first", 1: "mode 2, MSB first"}, doc="byte order of M-Bus records"
            )
            response_type: int = bit(
                1, 1, values={0: "variable data structure", 1: "fixed data structure"}, doc="telegram format"
            )
            key_available: int = bit(2, 1, values={0: "no key", 1: "decrypted as necessary"}, doc="key availability")
            authentication: int = bit(
                3,
                2,
                values={0: "passed", 1: "ID failure", 2: "date failure", 3: "passed with alternate date"},
                doc="authentication result",
            )
            security_status: int = bit(5, 1, values={0: "passed", 1: "failed"}, doc="overall security status")
            unlisted_6: int = bit(6, 2, doc="not listed")

        response_info: ResponseInfo = f.bits(ResponseInfo, vci="M", doc="how to read the M-Bus data (n/a for MEP)")

        class Data0(Struct, floor="tables"):
            """Depends on device slot and response type. (case 0)."""

            class Telegrams(Struct, floor="tables"):
                """CI 0x72 response, repeated until the end of the record."""

                length: int = f.u8(doc="telegram bytes after this one, incl. terminator")
                serial_nbr: str = f.bcd(4, low_first=True, vci="M", doc="device serial number, packed BCD")
                mfg_id: int = f.u16(vci="M", doc="(c1-64)*1024+(c2-64)*32+(c3-64)")
                version: int = f.u8(vci="M", doc="generation/version of the counter")
                medium: int = f.u8(
                    vci="M", values={3: "gas", 4: "heat", 6: "hot water", 7: "water"}, doc="device medium"
                )
                access_nbr: int = f.u8(vci="M", doc="increments per response")

                class Status(Bits, size=1):
                    """M-Bus device status."""

                    application: int = bit(
                        0,
                        2,
                        values={0: "no error", 1: "application busy", 2: "any application error", 3: "reserved"},
                        doc="application state",
                    )
                    power_low: int = bit(2, 1, doc="1 = power low")
                    permanent_error: int = bit(3, 1, doc="1 = permanent error")
                    temporary_error: int = bit(4, 1, doc="1 = temporary error")
                    mfg_specific: int = bit(5, 3, doc="manufacturer specific")

                status: Status = f.bits(Status, vci="M", doc="M-Bus device status")
                signature: int = f.u16(vci="M", doc="encryption indicator")
                data_records: bytes = f.binary(length - 13, vci="M", doc="M-Bus data records (DRH plus value)")
                terminator: int = f.u8(doc="zero terminator counted in LENGTH")

            telegrams: list[Telegrams] = f.record(
                Telegrams, count=MANY, doc="CI 0x72 response, repeated until the end of the record"
            )

        class Data1(Struct, floor="tables"):
            """Depends on device slot and response type. (case 1)."""

            length: int = f.u8(default=16, doc="bytes after this one, always 16")
            serial_nbr: str = f.bcd(4, low_first=True, vci="M", doc="device serial number")
            access_nbr: int = f.u8(vci="M", doc="increments per response")

            class Status(Bits, size=1):
                """M-Bus fixed-format status."""

                signed_binary: int = bit(
                    0, 1, values={0: "counters BCD", 1: "counters signed binary"}, doc="counter coding"
                )
                fixed_date: int = bit(1, 1, values={0: "actual values", 1: "stored at fixed date"}, doc="counter kind")
                power_low: int = bit(2, 1, doc="1 = power low")
                permanent_error: int = bit(3, 1, doc="1 = permanent error")
                temporary_error: int = bit(4, 1, doc="1 = temporary error")
                mfg_specific: int = bit(5, 3, doc="manufacturer specific")

            status: Status = f.bits(Status, vci="M", doc="M-Bus fixed-format status")
            medium_unit: int = f.u16(vci="M", doc="M-Bus fixed medium/unit word, always LSB first")
            counter1: int = f.u32(vci="M", doc="consumption 1")
            counter2: int = f.u32(vci="M", doc="consumption 2")

        class Data2(Struct, floor="tables"):
            """Depends on device slot and response type. (case 2)."""

            read_count: int = f.u16(vci="M", doc="successful billing reads from the MEP port")
            length: int = f.u16(unit="byte", vci="M", doc="length of DATA")
            data: bytes = f.binary(length, vci="M", doc="data posted by the MEP client")

        data: Data0 | Data1 | Data2 | None = f.union(
            [
                Case(all_of(INDEX < 4, response_info.response_type == 0), Data0),
                Case(all_of(INDEX < 4, response_info.response_type == 1), Data1),
                Case(INDEX >= 4, Data2),
            ],
            doc="depends on device slot and response type",
        )

    device_data: list[DeviceData] = f.record(
        DeviceData, count=at(ET11).nbr_devices, stride=at(ET11).data_entry_size, doc="MBR per device"
    )
