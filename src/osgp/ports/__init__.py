"""Thin shells: the only place with sockets, serial ports, files and the clock.

Floor 3 (sees floors 0 to 2). A project choice; telnet port control is RFC 2217. A line is ``send``, ``receive``,
``set_baud``, ``close`` and a ``name``; start reading at ``opening``, which turns a URL into an open device.
"""
