"""The extended tables (ET03 to ET97; number + 2048), one declaration a file.

Sources: OSGP Alliance MEP Client Developer's Guide v1.1 and Optical Port Programmer's Guide v1.1; each file names its pages.
Start reading at ``osgp.tables.registry``.
"""
