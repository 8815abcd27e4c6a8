"""A whole street in virtual time: grid, line, devices and concentrator, with faults and a report. Project choice.

Everything in it is the code that runs live. Start reading at ``docs/design/street.md``.
"""
