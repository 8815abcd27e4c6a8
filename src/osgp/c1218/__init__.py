"""The optical door: ANSI C12.18 packets, link and session as OSGP meters use them, both sides, without I/O.

Floor 1 (sees ``wire`` and ``tables``). Documents: OSGP Alliance *Optical Port Programmer's Guide* v1.1 (2021) for tables,
keys and limits; ANSI C12.18-1996 for the protocol, known here through frames of real meters and independent
implementations, so single rules are marked ``(unverified)``.

Start reading at ``packet`` and ``services`` (declarations), then ``link`` (one machine for both sides), ``states`` and
``session`` (the client), ``server`` (the meter's side), ``access`` (tables over it), ``explain`` (captures in words).
"""
