"""``osgp phy``: packets of the power line as samples in files, and back; pictures of them. After ETSI TS 103 908.

One file per command. What they compute with is loaded when they run (extra ``plc``, and ``plot`` for pictures).
"""

from __future__ import annotations

from cyclopts import App

from osgp.cli.phy.calibrate import calibrate
from osgp.cli.phy.demod import demod
from osgp.cli.phy.mod import mod
from osgp.cli.phy.plot import plot
from osgp.cli.phy.profile import profile

app = App(name="phy", help="The power line (ETSI TS 103 908): packets to samples, samples to packets, pictures.")
for _command in (mod, demod, plot, profile, calibrate):
    app.command(_command, name=_command.__name__)
