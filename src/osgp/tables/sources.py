"""Source IDs: what a summation, demand, present value or load-profile channel measures, and in which unit.

The guides have no table of units of measure; the unit follows from the source (BT22, MEP guide p. 202–206). IDs 112–163
stand for entries of ET66, whose 16-bit extended IDs (BT22, ET66, ET71, ET75) are a word of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from osgp.wire import Bits, bit

__all__ = ["MAPPED", "SOURCES", "ExtendedSource", "Source", "source"]


@dataclass(frozen=True, slots=True)
class Source:
    """One source: ``unit`` of the raw count, ``scale`` to ``si_unit`` (V, A, Hz …), and whether the unit is stated by the guides."""

    number: int
    name: str
    unit: str = ""
    scale: float = 1.0
    si_unit: str = ""
    since: str = ""
    status: str = "verified"


class ExtendedSource(Bits, size=2):
    """An extended source ID (BT22, MEP guide p. 202). Type 0: a standard source ID; type 4: an M-Bus or MEP value."""

    low: int = bit(0, 8, doc="type 0: standard source ID")
    device_index: int = bit(8, 4, doc="type 4: ET13 element")
    type: int = bit(12, 4, doc="0 standard, 3 billing register, 4 M-Bus/MEP")

    @property
    def mdt(self) -> int:
        """Type 4: index of the M-Bus data type (ET57)."""
        return int(self) & 0x1F


MAPPED = range(112, 164)
"""Source IDs that stand for entries of ET66: entry (ID - 112)."""

SOURCES: dict[int, Source] = {
    0: Source(0, "Fwd active energy L1L2L3", unit="Wh"),
    1: Source(1, "Rev active energy L1L2L3", unit="Wh"),
    2: Source(2, "Import reactive energy L1L2L3", unit="varh"),
    3: Source(3, "Export reactive energy L1L2L3", unit="varh"),
    4: Source(4, "Power off duration", unit="s"),
    5: Source(5, "Power outage quantity"),
    6: Source(6, "Fwd+Rev active energy L1L2L3", unit="Wh"),
    7: Source(7, "Fwd-Rev active energy L1L2L3", unit="Wh"),
    8: Source(8, "Fwd active power L1L2L3", unit="W"),
    9: Source(9, "Rev active power L1L2L3", unit="W"),
    10: Source(10, "Import reactive power L1L2L3", unit="var"),
    11: Source(11, "Export reactive power L1L2L3", unit="var"),
    12: Source(12, "RMS current L1", unit="mA", scale=0.001, si_unit="A"),
    13: Source(13, "RMS current L2", unit="mA", scale=0.001, si_unit="A"),
    14: Source(14, "RMS current L3", unit="mA", scale=0.001, si_unit="A"),
    15: Source(15, "RMS voltage L1", unit="mV", scale=0.001, si_unit="V"),
    16: Source(16, "RMS voltage L2", unit="mV", scale=0.001, si_unit="V"),
    17: Source(17, "RMS voltage L3", unit="mV", scale=0.001, si_unit="V"),
    18: Source(18, "Power factor L1", unit="1/1000", scale=0.001),
    19: Source(19, "Frequency", unit="mHz", scale=0.001, si_unit="Hz"),
    20: Source(20, "Apparent power L1L2L3", unit="VA"),
    21: Source(21, "Power factor L2", unit="1/1000", scale=0.001),
    22: Source(22, "Power factor L3", unit="1/1000", scale=0.001),
    23: Source(23, "Sin phase angle L1", unit="1/1000", scale=0.001),
    24: Source(24, "Sin phase angle L2", unit="1/1000", scale=0.001),
    25: Source(25, "Sin phase angle L3", unit="1/1000", scale=0.001),
    26: Source(26, "Pulse input channel 0"),
    27: Source(27, "Pulse input channel 1"),
    28: Source(28, "Error counter"),
    29: Source(29, "T0 Fwd active energy L1L2L3", unit="Wh"),
    30: Source(30, "T0 Rev active energy L1L2L3", unit="Wh"),
    31: Source(31, "T0 Import reactive energy L1L2L3", unit="varh"),
    32: Source(32, "T0 Export reactive energy L1L2L3", unit="varh"),
    33: Source(33, "T0 Power off minutes", unit="min"),
    34: Source(34, "T0 Power outage quantity"),
    35: Source(35, "T0 Fwd+Rev active energy L1L2L3", unit="Wh"),
    36: Source(36, "T0 Fwd-Rev active energy L1L2L3", unit="Wh"),
    37: Source(37, "T0 Pulse input channel 0"),
    38: Source(38, "T0 Pulse input channel 1"),
    39: Source(39, "T0 Error counter"),
    40: Source(40, "T1 Fwd active energy L1L2L3", unit="Wh"),
    41: Source(41, "T1 Rev active energy L1L2L3", unit="Wh"),
    42: Source(42, "T1 Import reactive energy L1L2L3", unit="varh"),
    43: Source(43, "T1 Export reactive energy L1L2L3", unit="varh"),
    44: Source(44, "T1 Power off minutes", unit="min"),
    45: Source(45, "T1 Power outage quantity"),
    46: Source(46, "T1 Fwd+Rev active energy L1L2L3", unit="Wh"),
    47: Source(47, "T1 Fwd-Rev active energy L1L2L3", unit="Wh"),
    48: Source(48, "T1 Pulse input channel 0"),
    49: Source(49, "T1 Pulse input channel 1"),
    50: Source(50, "T1 Error counter"),
    51: Source(51, "T2 Fwd active energy L1L2L3", unit="Wh"),
    52: Source(52, "T2 Rev active energy L1L2L3", unit="Wh"),
    53: Source(53, "T2 Import reactive energy L1L2L3", unit="varh"),
    54: Source(54, "T2 Export reactive energy L1L2L3", unit="varh"),
    55: Source(55, "T2 Power off minutes", unit="min"),
    56: Source(56, "T2 Power outage quantity"),
    57: Source(57, "T2 Fwd+Rev active energy L1L2L3", unit="Wh"),
    58: Source(58, "T2 Fwd-Rev active energy L1L2L3", unit="Wh"),
    59: Source(59, "T2 Pulse input channel 0"),
    60: Source(60, "T2 Pulse input channel 1"),
    61: Source(61, "T2 Error counter"),
    62: Source(62, "T3 Fwd active energy L1L2L3", unit="Wh"),
    63: Source(63, "T3 Rev active energy L1L2L3", unit="Wh"),
    64: Source(64, "T3 Import reactive energy L1L2L3", unit="varh"),
    65: Source(65, "T3 Export reactive energy L1L2L3", unit="varh"),
    66: Source(66, "T3 Power off minutes", unit="min"),
    67: Source(67, "T3 Power outage quantity"),
    68: Source(68, "T3 Fwd+Rev active energy L1L2L3", unit="Wh"),
    69: Source(69, "T3 Fwd-Rev active energy L1L2L3", unit="Wh"),
    70: Source(70, "T3 Pulse input channel 0"),
    71: Source(71, "T3 Pulse input channel 1"),
    72: Source(72, "T3 Error counter"),
    73: Source(73, "MEP device 1 counter 1"),
    74: Source(74, "MEP device 1 counter 2"),
    75: Source(75, "MEP device 2 counter 1"),
    76: Source(76, "MEP device 2 counter 2"),
    77: Source(77, "MEP device 3 counter 1"),
    78: Source(78, "MEP device 3 counter 2"),
    79: Source(79, "MEP device 4 counter 1"),
    80: Source(80, "MEP device 4 counter 2"),
    81: Source(81, "Fwd active power L1L2L3 post CT/VT ratio", unit="W"),
    82: Source(82, "Rev active power L1L2L3 post CT/VT ratio", unit="W"),
    83: Source(83, "Import reactive power L1L2L3 post CT/VT ratio", unit="var"),
    84: Source(84, "Export reactive power L1L2L3 post CT/VT ratio", unit="var"),
    85: Source(85, "unused"),
    86: Source(86, "unused"),
    87: Source(87, "unused"),
    88: Source(88, "Present demand 1"),
    89: Source(89, "Present demand 2"),
    90: Source(90, "Present demand 3"),
    91: Source(91, "Present demand 4"),
    92: Source(92, "Present demand 5"),
    93: Source(93, "Present demand 6"),
    94: Source(94, "Present demand 7"),
    95: Source(95, "Present demand 8"),
    96: Source(96, "Previous demand 1"),
    97: Source(97, "Previous demand 2"),
    98: Source(98, "Previous demand 3"),
    99: Source(99, "Previous demand 4"),
    100: Source(100, "Previous demand 5"),
    101: Source(101, "Previous demand 6"),
    102: Source(102, "Previous demand 7"),
    103: Source(103, "Previous demand 8"),
    104: Source(104, "Q1 reactive power L1L2L3 (fw 3.x: only with demand)", unit="var"),
    105: Source(105, "Q2 reactive power L1L2L3 (fw 3.x: only with demand)", unit="var"),
    106: Source(106, "Q3 reactive power L1L2L3 (fw 3.x: only with demand)", unit="var"),
    107: Source(107, "Q4 reactive power L1L2L3 (fw 3.x: only with demand)", unit="var"),
    108: Source(108, "Q1 reactive energy L1L2L3 (fw 3.x: only with demand)", unit="varh"),
    109: Source(109, "Q2 reactive energy L1L2L3 (fw 3.x: only with demand)", unit="varh"),
    110: Source(110, "Q3 reactive energy L1L2L3 (fw 3.x: only with demand)", unit="varh"),
    111: Source(111, "Q4 reactive energy L1L2L3 (fw 3.x: only with demand)", unit="varh"),
    164: Source(164, "Minimum voltage L1", unit="mV", scale=0.001, si_unit="V", status="unverified"),
    165: Source(165, "Minimum voltage L2", unit="mV", scale=0.001, si_unit="V", status="unverified"),
    166: Source(166, "Minimum voltage L3", unit="mV", scale=0.001, si_unit="V", status="unverified"),
    167: Source(167, "Maximum voltage L1", unit="mV", scale=0.001, si_unit="V", status="unverified"),
    168: Source(168, "Maximum voltage L2", unit="mV", scale=0.001, si_unit="V", status="unverified"),
    169: Source(169, "Maximum voltage L3", unit="mV", scale=0.001, si_unit="V", status="unverified"),
    170: Source(170, "Maximum fwd active power L1L2L3", unit="W"),
    171: Source(171, "Maximum rev active power L1L2L3", unit="W"),
    172: Source(172, "Maximum reactive power Q1", unit="var"),
    173: Source(173, "Maximum reactive power Q2", unit="var"),
    174: Source(174, "Maximum reactive power Q3", unit="var"),
    175: Source(175, "Maximum reactive power Q4", unit="var"),
    176: Source(176, "Time stamp of previous source"),
    177: Source(177, "Maximum fwd active power L1L2L3 post CT/VT ratio", unit="W"),
    178: Source(178, "Maximum rev active power L1L2L3 post CT/VT ratio", unit="W"),
    179: Source(179, "Maximum fwd active power L1 post CT/VT ratio", unit="W"),
    180: Source(180, "Maximum fwd active power L2 post CT/VT ratio", unit="W"),
    181: Source(181, "Maximum fwd active power L3 post CT/VT ratio", unit="W"),
    182: Source(182, "Maximum rev active power L1 post CT/VT ratio (printed A)", unit="W"),
    183: Source(183, "Maximum rev active power L2 post CT/VT ratio", unit="W"),
    184: Source(184, "Maximum rev active power L3 post CT/VT ratio", unit="W"),
    185: Source(185, "Fwd active power L1", unit="W"),
    186: Source(186, "Fwd active power L2", unit="W"),
    187: Source(187, "Fwd active power L3", unit="W"),
    188: Source(188, "Rev active power L1", unit="W"),
    189: Source(189, "Rev active power L2", unit="W"),
    190: Source(190, "Rev active power L3", unit="W"),
    191: Source(191, "Fwd active power L1 post CT/VT ratio", unit="W"),
    192: Source(192, "Fwd active power L2 post CT/VT ratio", unit="W"),
    193: Source(193, "Fwd active power L3 post CT/VT ratio", unit="W"),
    194: Source(194, "Rev active power L1 post CT/VT ratio", unit="W"),
    195: Source(195, "Rev active power L2 post CT/VT ratio", unit="W"),
    196: Source(196, "Rev active power L3 post CT/VT ratio", unit="W"),
    197: Source(197, "RMS current L1 post CT/VT ratio", unit="mA", scale=0.001, si_unit="A"),
    198: Source(198, "RMS current L2 post CT/VT ratio", unit="mA", scale=0.001, si_unit="A"),
    199: Source(199, "RMS current L3 post CT/VT ratio", unit="mA", scale=0.001, si_unit="A"),
    200: Source(200, "internal use"),
    201: Source(201, "Current load profile interval time adjustment", unit="s", status="unverified"),
    202: Source(202, "Continuous RMS voltage L1 (not updated on modules)", unit="mV", scale=0.001, si_unit="V"),
    203: Source(203, "Continuous RMS voltage L2 (not updated on modules)", unit="mV", scale=0.001, si_unit="V"),
    204: Source(204, "Continuous RMS voltage L3 (not updated on modules)", unit="mV", scale=0.001, si_unit="V"),
    205: Source(205, "Average RMS voltage L1", unit="mV", scale=0.001, si_unit="V"),
    206: Source(206, "Average RMS voltage L2", unit="mV", scale=0.001, si_unit="V"),
    207: Source(207, "Average RMS voltage L3", unit="mV", scale=0.001, si_unit="V"),
    208: Source(208, "Average fwd active power L1L2L3", unit="W"),
    209: Source(209, "Average rev active power L1L2L3", unit="W"),
    210: Source(210, "Average fwd active power L1", unit="W"),
    211: Source(211, "Average fwd active power L2", unit="W"),
    212: Source(212, "Average fwd active power L3", unit="W"),
    213: Source(213, "Average rev active power L1", unit="W"),
    214: Source(214, "Average rev active power L2", unit="W"),
    215: Source(215, "Average rev active power L3", unit="W"),
    216: Source(216, "Apparent power Q1 L1L2L3", unit="VA", since="fw 4.0"),
    217: Source(217, "Apparent power Q2 L1L2L3", unit="VA", since="fw 4.0"),
    218: Source(218, "Apparent power Q3 L1L2L3", unit="VA", since="fw 4.0"),
    219: Source(219, "Apparent power Q4 L1L2L3", unit="VA", since="fw 4.0"),
    220: Source(220, "Apparent power Q1 L1", unit="VA", since="fw 4.0"),
    221: Source(221, "Apparent power Q2 L1", unit="VA", since="fw 4.0"),
    222: Source(222, "Apparent power Q3 L1", unit="VA", since="fw 4.0"),
    223: Source(223, "Apparent power Q4 L1", unit="VA", since="fw 4.0"),
    224: Source(224, "Apparent power Q1 L2", unit="VA", since="fw 4.0"),
    225: Source(225, "Apparent power Q2 L2", unit="VA", since="fw 4.0"),
    226: Source(226, "Apparent power Q3 L2", unit="VA", since="fw 4.0"),
    227: Source(227, "Apparent power Q4 L2", unit="VA", since="fw 4.0"),
    228: Source(228, "Apparent power Q1 L3", unit="VA", since="fw 4.0"),
    229: Source(229, "Apparent power Q2 L3", unit="VA", since="fw 4.0"),
    230: Source(230, "Apparent power Q3 L3", unit="VA", since="fw 4.0"),
    231: Source(231, "Apparent power Q4 L3", unit="VA", since="fw 4.0"),
    232: Source(232, "Neutral current", unit="mA", scale=0.001, si_unit="A", since="fw 4.0"),
    233: Source(233, "Average RMS current L1", unit="mA", scale=0.001, si_unit="A", since="fw 4.10"),
    234: Source(234, "Average RMS current L2", unit="mA", scale=0.001, si_unit="A", since="fw 4.10"),
    235: Source(235, "Average RMS current L3", unit="mA", scale=0.001, si_unit="A", since="fw 4.10"),
    236: Source(236, "Voltage angle A to B", unit="0.01 deg", scale=0.01, si_unit="deg", since="fw 4.30, modules 1.32"),
    237: Source(237, "Voltage angle B to C", unit="0.01 deg", scale=0.01, si_unit="deg", since="fw 4.30, modules 1.32"),
    238: Source(238, "Voltage angle C to A", unit="0.01 deg", scale=0.01, si_unit="deg", since="fw 4.30, modules 1.32"),
    239: Source(239, "Import reactive power A", unit="var", since="fw 4.30, modules 1.32"),
    240: Source(240, "Import reactive power B", unit="var", since="fw 4.30, modules 1.32"),
    241: Source(241, "Import reactive power C", unit="var", since="fw 4.30, modules 1.32"),
    242: Source(242, "Export reactive power A", unit="var", since="fw 4.30, modules 1.32"),
    243: Source(243, "Export reactive power B", unit="var", since="fw 4.30, modules 1.32"),
    244: Source(244, "Export reactive power C", unit="var", since="fw 4.30, modules 1.32"),
}


def source(number: int) -> Source:
    """The source of an ID; mapped and unknown IDs get a name that says so."""
    found = SOURCES.get(number)
    if found is not None:
        return found
    if number in MAPPED:
        return Source(number, f"mapped source {number - MAPPED.start} (ET66)")
    return Source(number, f"unknown source {number}", status="unverified")
