"""The data model of ETSI TS 104 001: tables, procedures, the services on them, and the image of a device.

Floor 1. Documents: OSGP Alliance *MEP Client Developer's Guide* v1.1 (2022) and *Optical Port Programmer's Guide* v1.1
(2021), which describe the tables of TS 104 001, annexes A to D. Knows no door: how a request travels is the work of
``c1218`` and ``mep``. Start reading at ``access`` (the one interface to a device's tables), then ``services`` (the
requests and answers as bytes), then any file of ``bt`` or ``et`` (one table each).
"""
