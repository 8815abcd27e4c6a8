"""What is in the frames of simulated domains: real bytes, tags and tables behind every delivered frame, made in columns.

The engines of ``osgp.sim.domains`` know times, levels and lengths. This package takes their traces and makes for every frame that came
through the bytes that ordinary nodes would have sent: link and network headers with CRC, transaction, the list of repeaters that is
still ahead, the secured message of the AES-128 suite, the table's bytes; and at the other end it checks and reads them. Start
reading at ``run``; ``frames`` takes the layouts from ordinary stacks, ``ccm`` seals and opens many messages of a key at once,
``meters`` holds keys and registers, ``receiving`` is the other end, ``kernels`` are the loops, compiled by Numba.

The batch form is a project choice; layouts, keys and messages are those of ``osgp.lon``, ``osgp.app`` and ``osgp.tables``. Importing
the package loads neither NumPy nor Numba.
"""
