"""EP19 Post On-demand M-Bus Request (MEP guide p. 244)."""

from __future__ import annotations

from osgp.tables.et.et04 import ET04
from osgp.tables.table import Procedure
from osgp.wire import Case, Struct, all_of, any_of, at
from osgp.wire import fields as f

__all__ = ["EP19"]


class EP19(Procedure):
    """Post On-demand M-Bus Request."""

    number = 2067
    title = "Post On-demand M-Bus Request"
    source = "MEP guide p. 244"
    status = "verified"
    defined = True
    mep = ("MAK",)
    results = {2: "invalid request type", 3: "handle, group mask or index matches no device", 7: "on-demand queue full"}
    notes = (
        "Track the result in ET15; the read data appears in ET16.",
        "Types 7 and 8 are created internally by EP41.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        trans_nbr: int = f.u16(
            vci="H",
            values={
                (0, 1023): "optical port applications",
                (1024, 1279): "MEP applications",
                (1280, 1535): "system software broadcast (reserved)",
                (65280, 65535): "control node / system software (reserved)",
            },
            doc="transaction number",
        )
        target: int = f.u16(
            vci="H",
            doc=(
                "handle; type 6: group mask or 0xFFFF all commissioned M-Bus devices; type 10: device"
                " index bit mask, lowest set bit receives (bits 0..3 M-Bus, bit 4 first MEP client)"
            ),
        )
        request_type: int = f.u8(
            vci="H",
            values={
                0: "internal use",
                1: "M-Bus application reset",
                2: "billing read",
                3: "status read",
                4: "write user data",
                5: "time sync",
                6: "multicast (M-Bus, group mask in ET34)",
                9: "MEP download switchover",
                10: "write user data by index",
            },
            doc="kind of request",
        )

        class Payload0(Struct, floor="tables"):
            """Only for some request types. (case 0)."""

            write_len: int = f.u8(
                unit="byte", vci="H", doc="user data length; types 4 and 10: at most ET11.ONDEMAND_WRITE_ENTRY_SIZE-1"
            )
            write_data: bytes = f.binary(
                write_len,
                vci="H",
                doc=(
                    "user data (SND_UD) or C field, CI field, user data for multicast; array bound "
                    "ET11.MBUS_MCAST_LEN-1"
                ),
            )

        class Payload1(Struct, floor="tables"):
            """Only for some request types. (case 1)."""

            image_length: int = f.u32(
                unit="byte", vci="H", doc="image length for the MAC (fw 3.80+, modules 1.30+, not P2P)"
            )
            image_mac: bytes = f.binary(16, vci="H", doc="image MAC")

        payload: Payload0 | Payload1 | None = f.union(
            [
                Case(any_of(request_type == 4, request_type == 6, request_type == 10), Payload0),
                Case(all_of(request_type == 9, at(ET04).security_mode == 2), Payload1),
            ],
            doc="only for some request types",
        )

    class Response(Struct, floor="tables"):
        """What is answered."""

        entry_index: int = f.u8(vci="M", doc="index of the entry in the ET15 queue")
