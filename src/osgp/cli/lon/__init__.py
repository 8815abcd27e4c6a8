"""``osgp lon``: a node of a control network at the terminal, and what an installer does with others.

ISO/IEC 14908-1 over UDP (LON/IP, CN/IP). One file per command; ``attached`` is the node that a command is for its time.
"""

from __future__ import annotations

from cyclopts import App

from osgp.cli.lon.commission import commission
from osgp.cli.lon.discover import discover
from osgp.cli.lon.monitor import monitor
from osgp.cli.lon.node import node
from osgp.cli.lon.ping_path import ping_path
from osgp.cli.lon.queries import query_id, query_status, wink

app = App(
    name="lon", help="The control network (ISO/IEC 14908-1) over UDP: run a node, find, query and commission others."
)
for _command in (node, discover, query_id, query_status, wink, commission, ping_path, monitor):
    app.command(_command, name=_command.__name__.replace("_", "-"))
