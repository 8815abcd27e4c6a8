"""The application layer of OSGP over ISO/IEC 14908-1: messages, both security suites, tokens, firmware images.

Documents: ETSI TS 104 001 V2.2.1 clause 9 and annexes F and G, ETSI GS OSG 001 for the legacy suite. The text of the annexes could not
be read; what stands for them is a project choice (``spec/osgp-application.md`` section 3), kept in one replaceable profile.
Machines without I/O. Start reading at ``docs/design/street.md``.
"""
