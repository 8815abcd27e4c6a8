"""The power line: packets as BPSK on two carriers, after ETSI TS 103 908, from bytes to samples and back. Arrays in, arrays out.

Floor 1 (sees ``wire`` and ``lon``: the CRC and the alternate-path bit are declared there). The body of ETSI TS 103 908 was not at
hand: rates, carriers, code rate, CRC and slot timing follow other public sources, the rest is a *project choice* (``params``,
which marks each constant; ``spec/phy-ts103908.md``). All of it can be replaced from a file, nothing needs an edit.

Start reading at ``params`` (every constant), then ``frame`` (LPDU to line bits), ``modulate`` and ``modem`` (samples to LPDUs).
This package needs NumPy, its receiver Numba (extra ``plc``).
"""
