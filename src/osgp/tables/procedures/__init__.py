"""The procedures (BP and EP), one declaration a file: parameters, answer, result codes.

Sources: OSGP Alliance MEP Client Developer's Guide v1.1 and Optical Port Programmer's Guide v1.1; each file names its pages.
Start reading at ``osgp.tables.registry``.
"""
