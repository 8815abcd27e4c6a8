"""Floors joined, still without I/O: a whole device, a whole client, the planner, the observer.

Floor 2 (sees floors 0 and 1). A project choice from end to end; the behaviour of a device behind its tables follows
*MEP Client Developer's Guide* v1.1 and *Optical Port Programmer's Guide* v1.1. Time comes in as ``now``, randomness as a
``random.Random``.
"""
