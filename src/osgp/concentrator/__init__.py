"""The data concentrator: finds, commissions, secures, reads and commands the devices of one line. Project choice.

Roles after ETSI TS 104 001 (clause 4, annexes F and G); how it works is a project choice. A machine over one ``Stack``, with a
journal handed in. Start reading at ``docs/design/street.md``.
"""
