"""Tables that the guides name without laying them out: what is said of each, by number.

Facts: MEP guide and optical guide, collected in ``spec/tables.md``. Without a layout a table is read and kept as raw bytes.
"""

from __future__ import annotations

__all__ = ["MENTIONED"]

MENTIONED: dict[int, str] = {
    5: "device identification (format governed by BT00)",
    6: "utility identification (format governed by BT00)",
    13: "demand control (bytes 4, 5: sub-interval, multiplier)",
    16: "source definition (cited for source order)",
    51: "actual time and TOU (cited as part of the B50 decade)",
    2049: "Pulse Output Options",
    2050: "RTC Calibration / Battery Information",
    2053: "Control Output Settings (0 primary max power, 8..23 prepay rates tiers 1-4, 25.0 enable max thresholds)",
    2054: "Pulse Inputs",
    2055: "LCD Display Configuration",
    2058: "second power outage list (FIFO, ET04 byte 53)",
    2060: "total energy / daily consumption registers",
    2065: "verification bitmap (size in ET11)",
    2067: "meter one-time-read requests",
    2068: "M-Bus one-time-read requests",
    2070: "alarms (first array ET11 byte 21)",
    2076: "transaction responses (cited from ET52)",
    2078: "Maximum Power or Current Level Control",
    2080: "M-Bus one-time-read log",
    2086: "configuration ID log (35-byte entries)",
    2088: "Demand Configuration",
    2096: "demand-related table (10 entries)",
    2115: "Display Source ID Mapping",
    2124: "Externally Configurable Hardware Options (mirror of ET29; 0.13 separate zero cross)",
    2125: "Secondary Display List",
    2140: "P2P Connection Configuration",
    2141: "P2P Connection Status",
    2142: "P2P Gateway Module Configuration",
    2143: "P2P Gateway Module Status",
    2144: "P2P Gateway Modem Socket Status",
    2146: "P2P AT Command Response",
    2172: "security event log (cited from ET97)",
}
