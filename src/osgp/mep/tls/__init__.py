"""TLS 1.2 for MEP: one client, one server, one suite (TLS_PSK_WITH_AES_256_GCM_SHA384), without I/O.

Why our own: MEP's PSK identities contain zero bytes, which the standard library's ``ssl`` cuts short, and the records
travel inside MEP frames. It is the only TLS in this package, and not meant for anything else.

Sources: *MEP Client Developer's Guide* v1.1, pages 12–15; RFC 5246, 4279, 5288, 5487, 5746. Reading order: ``client``
and ``server`` (who says what), ``session`` (the rules that both obey), ``messages`` and ``records`` (bytes),
``keyschedule``.

Deliberately absent: resumption, renegotiation, extensions, certificates, every other version and suite.
"""

from __future__ import annotations

from osgp.mep.tls.alerts import Alert
from osgp.mep.tls.client import TlsClient
from osgp.mep.tls.records import OVERHEAD
from osgp.mep.tls.server import TlsServer
from osgp.mep.tls.session import RandomBytes

__all__ = ["OVERHEAD", "Alert", "RandomBytes", "TlsClient", "TlsServer"]
