"""Layouts compiled to straight code, variable ones too: what decides a form is looked at first, then the form is read at once.

Whether fields are present and how many there are is mostly said by a few bits of the first bytes. Those bits are the *key*
of a ``Choice``; for each key that comes by, the declaration is traced once with what the bits say (``plan``), and the trace
becomes generated code: one ``unpack_from`` per run of bytes, slices for what is open, one object per record. Equal outcomes
share a form, so that bits nobody asks for do not multiply forms. A size that many bits say (a length) stays arithmetic.

Whatever does not fit (bytes too short, a value of another type, more forms than are kept, a declaration that needs a walk)
is left to the walk of ``nodes``, which is the reference: it names the culprit. A project choice. The generated code contains
names of declared fields and numbers only, never data.
"""

from __future__ import annotations

import struct as pystruct
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from osgp.wire.errors import DecodeError
from osgp.wire.fast import Misfit, Pieces, Unfit, is_big
from osgp.wire.lines import Reading, Writing, integer_at, wrong_type
from osgp.wire.nodes import RecordNode, Run
from osgp.wire.plan import Plan, Source, Trace, Undecided

__all__ = ["MISFITS", "Form", "Special"]

_MAX_FORMS = 256
"""Forms kept per layout: a hostile peer must not make us compile for ever (project choice)."""
_MAX_KEYS = 1024
"""Keys kept per choice."""
_AT_ONCE, _OFTEN, _MAX_COUNTED = 32, 16, 4096
"""So many keys of a layout are traced when they first come, others when they have come so often: a trace costs some hundred times
what a walk does, and a hostile peer has another key in each message (project choice)."""
MISFITS = (pystruct.error, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What generated code raises where bytes or values are not of its form."""

Reader = Callable[[bytes], Any]
Writer = Callable[[Any], bytes]
Finder = Callable[[bytes], "Form"]


class Special:
    """The compiled form of a layout. ``read`` and ``write`` are whole: they fall back to the two walks given."""

    def __init__(self, root: RecordNode, run: Run, exact: bool, walk_read: Reader, walk_write: Writer) -> None:
        self.root = root
        self.run = run
        self.exact = exact
        self.pieces = Pieces(is_big(root))
        self.forms = 0
        self.keys = 0
        self.top = self.grow(None, _nothing_known)
        self.read, self.write = walk_read, walk_write
        if self.top is not None:
            names = {"_cls": root.struct, "_misfits": MISFITS, "_walk_read": walk_read, "_walk_write": walk_write}
            self.pieces.names.update(names)
            self.read = self._whole(
                f"def whole(d):\n if type(d) is not bytes: d = bytes(d)\n try:\n{_indent(self.top.reading)}"
                " except _misfits: pass\n return _walk_read(d)\n",
                self.top,
            )
            self.write = self._whole(
                f"def whole(o):\n try:\n  if type(o) is not _cls: raise Misfit\n{_indent(self.top.writing)}"
                " except _misfits: pass\n return _walk_write(o)\n",
                self.top,
            )

    def _whole(self, source: str, top: Form | Choice) -> Any:
        space = {**self.pieces.names, **top.names}
        exec(source, space)
        return space["whole"]

    def grow(self, parent: Choice | None, values: Callable[[Source], Any]) -> Form | Choice | None:
        """What to do once the bits that ``parent`` looks at are known; None: walk."""
        trace = Trace(self.root, self.run, parent.covered if parent else {}, values)
        try:
            return self._grown(trace, trace.run())
        except Undecided as need:
            try:
                return Choice(self, parent, need.needed + trace.ahead())
            except Unfit:
                return None
        except (Unfit, DecodeError, ArithmeticError):
            return None

    def _grown(self, trace: Trace, plan: Plan) -> Form | None:
        if self.forms >= _MAX_FORMS:
            return None
        self.forms += 1
        return Form(self, plan)

    def outcomes(self, covered: dict[tuple[str, ...], int], values: Callable[[Source], Any]) -> tuple[Any, ...]:
        """What the known bits decide."""
        trace = Trace(self.root, self.run, covered, values)
        try:
            trace.run()
        except Undecided:
            return (*trace.outcomes, "?")
        except (Unfit, DecodeError, ArithmeticError):
            return (*trace.outcomes, "-")
        return tuple(trace.outcomes)

    def form_of(self, data: bytes) -> Form:
        """The form that these bytes have, if they are long enough for it. Raises what ``MISFITS`` says if there is none."""
        if self.top is None:
            raise Misfit
        return self.top.finder(data)


def _nothing_known(source: Source) -> Any:
    raise Unfit


def _indent(lines: list[str], by: int = 2) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in lines)


class Choice:
    """The bits that decide how to go on, and what follows from each of their values met so far."""

    def __init__(self, special: Special, parent: Choice | None, needed: list[tuple[Source, int]]) -> None:
        # What was looked at before is looked at again: those who come here agree in what it decided so far, not in all of it.
        self.special = special
        self.sources: dict[tuple[str, ...], Source] = dict(parent.sources) if parent else {}
        self.covered: dict[tuple[str, ...], int] = dict(parent.covered) if parent else {}
        for source, mask in needed:
            if source.place.base:
                raise Unfit
            self.sources[source.path] = source
            self.covered[source.path] = self.covered.get(source.path, 0) | mask
        self.children: dict[tuple[Any, ...], Form | Choice | None] = {}
        self.readers: dict[int, Reader] = {}
        self.writers: dict[int, Writer] = {}
        self.finders: dict[int, Finder] = {}
        self.seen: dict[int, int] = {}
        self.names: dict[str, Any] = {
            "readers": self.readers,
            "writers": self.writers,
            "finders": self.finders,
            "new_reader": self._new_reader,
            "new_writer": self._new_writer,
            "new_finder": self._new_finder,
        }
        taken, reads, holds = 0, [], []
        guards, gets = [], []
        for number, (path, source) in enumerate(self.sources.items()):
            mask, shift = self.covered[path], 0
            while mask << shift & taken:
                shift += 1
            taken |= mask << shift
            moved = f" << {shift}" if shift else ""
            reads.append(f"({integer_at(source)} & {mask}){moved}")
            gets.append(f"x{number} = o.{'.'.join(path)}")
            guards.append(wrong_type(f"x{number}", source, special.pieces))
            holds.append(f"(x{number} & {mask}){moved}")
        choose = [
            "try: f = {0}s[k]",
            "except KeyError: f = new_{0}(k, {1})",
            "return f({1})",
        ]
        self.reading = [f"k = {' | '.join(reads)}", *(line.format("reader", "d") for line in choose)]
        self.finding = [f"k = {' | '.join(reads)}", *(line.format("finder", "d") for line in choose)]
        self.writing = [
            *gets,
            f"if {' or '.join(guards)}: raise Misfit",
            f"k = {' | '.join(holds)}",
            *(line.format("writer", "o") for line in choose),
        ]

    def _of(self, data: bytes) -> Form | Choice | None:
        """What follows from bytes; those that are cut short are found out before anything is traced."""
        for source in self.sources.values():
            source.read(data)
        return self.child(lambda source: source.read(data))

    def child(self, values: Callable[[Source], Any]) -> Form | Choice | None:
        """What follows from the values of the sources."""
        outcomes = self.special.outcomes(self.covered, values)
        if outcomes not in self.children:
            self.children[outcomes] = self.special.grow(self, values)
        return self.children[outcomes]

    def _is_worth_it(self, key: int) -> bool:
        """Whether a key that is new here is to be traced now."""
        special = self.special
        if special.keys < _AT_ONCE:
            special.keys += 1
            return True
        if len(self.seen) >= _MAX_COUNTED:
            self.seen.clear()
        count = self.seen.get(key, 0) + 1
        self.seen[key] = count
        return count >= _OFTEN

    def _new_reader(self, key: int, data: bytes) -> Reader:
        if len(self.readers) >= _MAX_KEYS or not self._is_worth_it(key):
            return _unfit
        child = self._of(data)
        found = self.readers[key] = _unfit if child is None else child.reader
        return found

    def _new_writer(self, key: int, value: Any) -> Writer:
        if len(self.writers) >= _MAX_KEYS or not self._is_worth_it(key):
            return _unfit
        child = self.child(lambda source: source.held(value))
        found = self.writers[key] = _unfit if child is None else child.writer
        return found

    def _new_finder(self, key: int, data: bytes) -> Finder:
        if len(self.finders) >= _MAX_KEYS:
            return _unfit
        child = self._of(data)
        found = self.finders[key] = _unfit if child is None else child.finder
        return found

    @cached_property
    def reader(self) -> Reader:
        return cast(Reader, self._function("d", self.reading))

    @cached_property
    def finder(self) -> Finder:
        return cast(Finder, self._function("d", self.finding))

    @cached_property
    def writer(self) -> Writer:
        return cast(Writer, self._function("o", self.writing))

    def _function(self, parameter: str, lines: list[str]) -> Any:
        space = {**self.special.pieces.names, **self.names}
        exec(f"def chosen({parameter}):\n{_indent(lines, 1)}", space)
        return space["chosen"]


def _unfit(_: Any) -> Any:
    raise Misfit


class Form:
    """A plan as code: ``reader`` makes an object of bytes, ``writer`` the inverse."""

    def __init__(self, special: Special, plan: Plan) -> None:
        self.special = special
        self.plan = plan
        self.names: dict[str, Any] = {}  # as a choice has them
        self.reading = Reading(special.pieces, plan, special.exact).lines
        self.writing = Writing(special.pieces, plan).lines
        self.tellers: dict[tuple[str, ...], Any] = {}
        """What ``telling`` makes of the plan when first asked, by the names of the fields that carry something."""

    def finder(self, _: bytes) -> Form:
        """This form, at the end of the choices."""
        return self

    @cached_property
    def reader(self) -> Reader:
        return cast(Reader, self.special.pieces.compiled(f"def read(d):\n{_indent(self.reading, 1)}", "read"))

    @cached_property
    def writer(self) -> Writer:
        return cast(Writer, self.special.pieces.compiled(f"def write(o):\n{_indent(self.writing, 1)}", "write"))
