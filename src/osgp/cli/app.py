"""The command tree: names, help and lazy loading."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

import osgp
from osgp.cli.output import EXIT_USE, guarded, stderr

app = App(
    name="osgp",
    help="Open Smart Grid Protocol: read, collect, simulate and explain smart meters.",
    version=osgp.__version__,
)
for _name in ("read", "query", "write", "run", "profile", "events", "clone"):
    app.command(f"osgp.cli.device:{_name}", name=_name)
app.command("osgp.cli.bench:bench", name="bench")
app.command("osgp.cli.conformance:conformance", name="conformance")
app.command("osgp.cli.collect:collect", name="collect")
app.command("osgp.cli.collect:export", name="export")
app.command("osgp.cli.concentrator:app", name="concentrator")
app.command("osgp.cli.decode:decode", name="decode")
app.command("osgp.cli.demo:demo", name="demo")
app.command("osgp.cli.grid:app", name="grid")
app.command("osgp.cli.keys:app", name="keys")
app.command("osgp.cli.lon:app", name="lon")
app.command("osgp.cli.meter:app", name="meter")
app.command("osgp.cli.phy:app", name="phy")
app.command("osgp.cli.serve:serve", name="serve")
app.command("osgp.cli.sim:app", name="sim")
app.command("osgp.cli.street:app", name="street")
app.command("osgp.cli.tables:app", name="tables")


def run(arguments: list[str] | None = None) -> None:
    """Run a command line; our errors become words and an exit status."""

    def go() -> None:
        tokens = sys.argv[1:] if arguments is None else arguments
        if not tokens or tokens[0] in ("-h", "--help"):
            for name in list(app):  # the list tells what each command does, which only the command itself knows
                app[name]
        try:
            app(tokens, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            stderr.print(f"error: {error}", markup=False)
            stderr.print("  hint: osgp --help lists the commands; osgp COMMAND --help its options")
            raise SystemExit(EXIT_USE) from error
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if missing in ("", "osgp"):
                raise
            stderr.print(f"error: this command needs the package {missing}", markup=False)
            stderr.print("  hint: pip install 'osgp[all]', or the extra that has it", markup=False)
            raise SystemExit(EXIT_USE) from error

    guarded(go)
