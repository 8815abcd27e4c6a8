"""BT28 Present Register Data (MEP guide p. 215; optical guide p. 53)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.table import Access, Table
from osgp.wire import Element, Since, Struct, TimeOfDay, at
from osgp.wire import fields as f

__all__ = ["BT28"]


class BT28(
    Table,
    number=28,
    title="Present Register Data",
    role="data",
    source="MEP guide p. 215; optical guide p. 53",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Guide formula for value offsets is (A+4)*BT21.8 + number with A = 3 or 0; values are"
            " 4 bytes, so it must be 4*number. Value number 65 is printed as 66 (twice 66)."
        ),
        (
            "CT/VT ratios are not included unless stated. On modules a full read omits values "
            "75..83; use a partial read."
        ),
    ),
):
    """Present Register Data."""

    class PresentDemands(Struct, floor="tables"):
        """PresDmdRcd."""

        time_remaining: TimeOfDay = f.time(
            when=at(BT21).flags0.time_remaining == 1, vci="M", doc="time to the end of the demand interval"
        )
        demand_value: int = f.ni_fmat2(vci="M", doc="present demand")

    present_demands: list[PresentDemands] = f.record(
        PresentDemands, count=at(BT21).nbr_present_demands, doc="PresDmdRcd"
    )
    present_values: list[int] = f.ni_fmat1(
        count=at(BT21).nbr_present_values,
        vci="M",
        elements={
            0: Element("Fwd active power L1L2L3", source_id=8, unit="W"),
            1: Element("Rev active power L1L2L3", source_id=9, unit="W"),
            2: Element("Import reactive power L1L2L3", source_id=10, unit="var"),
            3: Element("Export reactive power L1L2L3", source_id=11, unit="var"),
            4: Element("RMS current L1", source_id=12, unit="A", scale=0.001),
            5: Element("RMS current L2", source_id=13, unit="A", scale=0.001),
            6: Element("RMS current L3", source_id=14, unit="A", scale=0.001),
            7: Element("RMS voltage L1", source_id=15, unit="V", scale=0.001),
            8: Element("RMS voltage L2", source_id=16, unit="V", scale=0.001),
            9: Element("RMS voltage L3", source_id=17, unit="V", scale=0.001),
            10: Element("Power factor L1", source_id=18, scale=0.001),
            11: Element("Frequency", source_id=19, unit="Hz", scale=0.001),
            12: Element("Apparent power L1L2L3", source_id=20, unit="VA"),
            13: Element("Power factor L2", source_id=21, scale=0.001),
            14: Element("Power factor L3", source_id=22, scale=0.001),
            15: Element("Sin phase angle L1", source_id=23, scale=0.001),
            16: Element("Sin phase angle L2", source_id=24, scale=0.001),
            17: Element("Sin phase angle L3", source_id=25, scale=0.001),
            18: Element(
                "Fwd active power L1L2L3 times CT/VT ratio if enabled", source_id=81, unit="W", since=Since("2.12")
            ),
            19: Element(
                "Rev active power L1L2L3 times CT/VT ratio if enabled", source_id=82, unit="W", since=Since("2.12")
            ),
            20: Element(
                "Import reactive power L1L2L3 times CT/VT ratio if enabled",
                source_id=83,
                unit="var",
                since=Since("2.12"),
            ),
            21: Element(
                "Export reactive power L1L2L3 times CT/VT ratio if enabled",
                source_id=84,
                unit="var",
                since=Since("2.12"),
            ),
            22: Element("Q1 reactive power L1L2L3", source_id=104, unit="var", since=Since("3.10")),
            23: Element("Q2 reactive power L1L2L3", source_id=105, unit="var", since=Since("3.10")),
            24: Element("Q3 reactive power L1L2L3", source_id=106, unit="var", since=Since("3.10")),
            25: Element("Q4 reactive power L1L2L3", source_id=107, unit="var", since=Since("3.10")),
            26: Element("Fwd active power L1", source_id=185, unit="W", since=Since("3.50")),
            27: Element("Fwd active power L2", source_id=186, unit="W", since=Since("3.50")),
            28: Element("Fwd active power L3", source_id=187, unit="W", since=Since("3.50")),
            29: Element("Rev active power L1", source_id=188, unit="W", since=Since("3.50")),
            30: Element("Rev active power L2", source_id=189, unit="W", since=Since("3.50")),
            31: Element("Rev active power L3", source_id=190, unit="W", since=Since("3.50")),
            32: Element("Fwd active power L1 post CT/VT ratio", source_id=191, unit="W", since=Since("3.50")),
            33: Element("Fwd active power L2 post CT/VT ratio", source_id=192, unit="W", since=Since("3.50")),
            34: Element("Fwd active power L3 post CT/VT ratio", source_id=193, unit="W", since=Since("3.50")),
            35: Element("Rev active power L1 post CT/VT ratio", source_id=194, unit="W", since=Since("3.50")),
            36: Element("Rev active power L2 post CT/VT ratio", source_id=195, unit="W", since=Since("3.50")),
            37: Element("Rev active power L3 post CT/VT ratio", source_id=196, unit="W", since=Since("3.50")),
            38: Element("RMS current L1 post CT/VT ratio", source_id=197, unit="A", scale=0.001, since=Since("3.50")),
            39: Element("RMS current L2 post CT/VT ratio", source_id=198, unit="A", scale=0.001, since=Since("3.50")),
            40: Element("RMS current L3 post CT/VT ratio", source_id=199, unit="A", scale=0.001, since=Since("3.50")),
            41: Element(
                "Continuous RMS voltage L1", source_id=202, unit="V", scale=0.001, since=Since("3.70", modules="1.20")
            ),
            42: Element(
                "Continuous RMS voltage L2", source_id=203, unit="V", scale=0.001, since=Since("3.70", modules="1.20")
            ),
            43: Element(
                "Continuous RMS voltage L3", source_id=204, unit="V", scale=0.001, since=Since("3.70", modules="1.20")
            ),
            44: Element(
                "Average RMS voltage L1", source_id=205, unit="V", scale=0.001, since=Since("3.70", modules="1.20")
            ),
            45: Element(
                "Average RMS voltage L2", source_id=206, unit="V", scale=0.001, since=Since("3.70", modules="1.20")
            ),
            46: Element(
                "Average RMS voltage L3", source_id=207, unit="V", scale=0.001, since=Since("3.70", modules="1.20")
            ),
            47: Element(
                "Average fwd active power L1L2L3", source_id=208, unit="W", since=Since("3.70", modules="1.20")
            ),
            48: Element(
                "Average rev active power L1L2L3", source_id=209, unit="W", since=Since("3.70", modules="1.20")
            ),
            49: Element("Average fwd active power L1", source_id=210, unit="W", since=Since("3.70", modules="1.20")),
            50: Element("Average fwd active power L2", source_id=211, unit="W", since=Since("3.70", modules="1.20")),
            51: Element("Average fwd active power L3", source_id=212, unit="W", since=Since("3.70", modules="1.20")),
            52: Element("Average rev active power L1", source_id=213, unit="W", since=Since("3.70", modules="1.20")),
            53: Element("Average rev active power L2", source_id=214, unit="W", since=Since("3.70", modules="1.20")),
            54: Element("Average rev active power L3", source_id=215, unit="W", since=Since("3.70", modules="1.20")),
            55: Element("Apparent power Q1 L1L2L3", source_id=216, unit="VA", since=Since("4.0")),
            56: Element("Apparent power Q2 L1L2L3", source_id=217, unit="VA", since=Since("4.0")),
            57: Element("Apparent power Q3 L1L2L3", source_id=218, unit="VA", since=Since("4.0")),
            58: Element("Apparent power Q4 L1L2L3", source_id=219, unit="VA", since=Since("4.0")),
            59: Element("Apparent power Q1 L1", source_id=220, unit="VA", since=Since("4.0")),
            60: Element("Apparent power Q2 L1", source_id=221, unit="VA", since=Since("4.0")),
            61: Element("Apparent power Q3 L1", source_id=222, unit="VA", since=Since("4.0")),
            62: Element("Apparent power Q4 L1", source_id=223, unit="VA", since=Since("4.0")),
            63: Element("Apparent power Q1 L2", source_id=224, unit="VA", since=Since("4.0")),
            64: Element("Apparent power Q2 L2", source_id=225, unit="VA", since=Since("4.0")),
            65: Element("Apparent power Q3 L2", source_id=226, unit="VA", since=Since("4.0")),
            66: Element("Apparent power Q4 L2", source_id=227, unit="VA", since=Since("4.0")),
            67: Element("Apparent power Q1 L3", source_id=228, unit="VA", since=Since("4.0")),
            68: Element("Apparent power Q2 L3", source_id=229, unit="VA", since=Since("4.0")),
            69: Element("Apparent power Q3 L3", source_id=230, unit="VA", since=Since("4.0")),
            70: Element("Apparent power Q4 L3", source_id=231, unit="VA", since=Since("4.0")),
            71: Element("Neutral current", source_id=232, unit="A", scale=0.001, since=Since("4.0")),
            72: Element("Average RMS current L1", source_id=233, unit="A", scale=0.001, since=Since("4.10")),
            73: Element("Average RMS current L2", source_id=234, unit="A", scale=0.001, since=Since("4.10")),
            74: Element("Average RMS current L3", source_id=235, unit="A", scale=0.001, since=Since("4.10")),
            75: Element(
                "Voltage angle A to B", source_id=236, unit="deg", scale=0.01, since=Since("4.30", modules="1.32")
            ),
            76: Element(
                "Voltage angle B to C", source_id=237, unit="deg", scale=0.01, since=Since("4.30", modules="1.32")
            ),
            77: Element(
                "Voltage angle C to A", source_id=238, unit="deg", scale=0.01, since=Since("4.30", modules="1.32")
            ),
            78: Element("Import reactive power A", source_id=239, unit="var", since=Since("4.30", modules="1.32")),
            79: Element("Import reactive power B", source_id=240, unit="var", since=Since("4.30", modules="1.32")),
            80: Element("Import reactive power C", source_id=241, unit="var", since=Since("4.30", modules="1.32")),
            81: Element("Export reactive power A", source_id=242, unit="var", since=Since("4.30", modules="1.32")),
            82: Element("Export reactive power B", source_id=243, unit="var", since=Since("4.30", modules="1.32")),
            83: Element("Export reactive power C", source_id=244, unit="var", since=Since("4.30", modules="1.32")),
        },
        doc="instantaneous values in the order of BT27.PRESENT_VALUE_SELECT",
    )
