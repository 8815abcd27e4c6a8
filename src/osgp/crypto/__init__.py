"""Cryptographic primitives of OSGP: bytes in, bytes out, no I/O, no state of a conversation.

``legacy``  the 1990s digest and RC4 of the power line and of the MEP. Published as broken; kept for interworking only.
``keys``    the ``Key`` type (hidden, compared in constant time) and ``parse_key`` for what people type.
``lanes``   optional kernels for ``legacy`` (NumPy, Numba), loaded at first need; never by importing this package.

Documents: MEP Client Developer's Guide v1.1, appendices A and B; ISO/IEC 14908-1 (authentication). Start with
``legacy``.
"""

from __future__ import annotations
