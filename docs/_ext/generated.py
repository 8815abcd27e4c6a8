"""The directive ``generated``: puts a page part in that was made from the declarations, ``docs/_generated/<name>.md``.

A part that nobody has made is announced on the page as missing, in one sentence, so that a reader never takes the
absence of a table for the absence of a fact. The parts are Markdown, start at heading level 3, and are never edited by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

NAME = re.compile(r"[a-z0-9-]+")


class Generated(SphinxDirective):
    """``{generated} name``: the part of that name, parsed in place."""

    required_arguments: ClassVar[int] = 1
    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if not NAME.fullmatch(name):
            raise self.error(f"the name of a generated part is lower-case words joined by hyphens, not {name!r}")
        path = Path(self.env.srcdir) / "_generated" / f"{name}.md"
        self.env.note_dependency(str(path))
        if not path.exists():
            return [
                nodes.note(
                    "", nodes.paragraph(text="This part is made from the declarations; it is not in this build.")
                )
            ]
        lines = StringList(path.read_text(encoding="utf-8").splitlines(), source=str(path))
        holder = nodes.container()
        self.state.nested_parse(lines, 0, holder)
        return holder.children


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("generated", Generated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
