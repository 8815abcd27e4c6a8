"""Settings in TOML whose errors name file, line and what would do; numbers that know how sure they are. Project choice.

``tomllib`` forgets where a key stood, so a second, shallow reading of the text finds the line of each header and key. It is for
messages only: a text that is laid out strangely gets a less exact line, never another value.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
from dataclasses import dataclass
from typing import Any, TypeVar

from osgp.wire.errors import ConfigError

__all__ = ["P", "U", "V", "BadSetting", "Text", "check_numbers", "number", "provenance_of", "toml_value"]

V, U, P = "verified", "unverified", "project choice"
T = TypeVar("T")

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_\-.\"' ]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*[\"']?([A-Za-z0-9_\-]+)[\"']?\s*=")
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


class BadSetting(ConfigError):
    """A value that its field cannot hold; ``key`` names the field, so that the reader of a file can point at its line."""

    def __init__(self, key: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key


def number(default: Any, status: str, source: str, *, low: float = -math.inf, high: float = math.inf) -> Any:
    """A field of a dataclass that is a number, or a pair of numbers: its default, how sure it is, whence, and its limits."""
    return dataclasses.field(default=default, metadata={"status": status, "source": source, "low": low, "high": high})


def check_numbers(settings: Any) -> None:
    """See to the limits of every ``number`` of a dataclass. Raises BadSetting."""
    for each in dataclasses.fields(settings):
        if "low" not in each.metadata:
            continue
        low, high = each.metadata["low"], each.metadata["high"]
        value = getattr(settings, each.name)
        for part in value if isinstance(value, tuple) else (value,):
            good = isinstance(part, (int, float)) and not isinstance(part, bool) and math.isfinite(part)
            if not good or not low <= part <= high:
                raise BadSetting(each.name, f"{each.name} cannot be {value!r}", hint=_range(low, high))


def _range(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f"from {low:g} to {high:g}"
    return f"from {low:g} up" if math.isfinite(low) else f"a finite number, at most {high:g}"


def provenance_of(settings: Any) -> list[tuple[str, Any, str, str]]:
    """(field, default, status, source) of every ``number`` of a dataclass."""
    return [
        (each.name, each.default, each.metadata["status"], each.metadata["source"])
        for each in dataclasses.fields(settings)
        if "status" in each.metadata
    ]


@dataclass(frozen=True, slots=True)
class _Block:
    """A header and where it and its keys stand."""

    line: int
    keys: dict[str, int]


class Text:
    """A TOML text and the lines of what is in it.

    ``text``: the file's content. ``where``: its name in messages. Raises ConfigError when it is no TOML.
    """

    def __init__(self, text: str, where: str = "text") -> None:
        self.where = where
        try:
            self.values: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            at = _AT.search(str(error))
            line = int(at[1]) if at else max(1, len(text.splitlines()))
            what = _AT.sub("", str(error)).strip()
            raise ConfigError(
                f"{where}:{line}: {what}", hint='a setting is a line of the form key = value, text in "quotes"'
            ) from error
        except RecursionError as error:
            raise ConfigError(
                f"{where}:1: nested too deeply", hint="tables within tables are not needed here"
            ) from error
        self._blocks: dict[str, list[_Block]] = {"": [_Block(1, {})]}
        block = self._blocks[""][0]
        for place, row in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(row):
                block = _Block(place, {})
                self._blocks.setdefault(header[2].replace('"', "").replace("'", "").replace(" ", ""), []).append(block)
            elif key := _KEY.match(row):
                block.keys.setdefault(key[1], place)

    def line(self, table: str = "", index: int = 0, key: str = "") -> int:
        """The line of a key of the ``index``-th table of that name, or of the table's header; 1 when it cannot be told."""
        blocks = self._blocks.get(table, [])
        if not blocks:  # written inline: the key of the same name in the root has it
            return self._blocks[""][0].keys.get(table, 1)
        block = blocks[min(index, len(blocks) - 1)]
        return block.keys.get(key, block.line)

    def error(self, message: str, *, table: str = "", index: int = 0, key: str = "", hint: str = "") -> ConfigError:
        """An error that points at a line; to be raised by the caller."""
        return ConfigError(f"{self.where}:{self.line(table, index, key)}: {message}", hint=hint)

    def tables(self, name: str) -> list[dict[str, Any]]:
        """All tables ``[[name]]``. Raises ConfigError when ``name`` is something else."""
        found = self.values.get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self.error(f"{name} is no list of tables", table=name, key=name, hint=f"write [[{name}]]")
        return found

    def table(self, name: str) -> dict[str, Any]:
        """The table ``[name]``, or an empty one. Raises ConfigError when ``name`` is something else."""
        found = self.values.get(name, {})
        if not isinstance(found, dict):
            raise self.error(f"{name} is no table", key=name, hint=f"write [{name}]")
        return found

    def only(self, known: set[str]) -> None:
        """See to it that nothing else stands at the top. Raises ConfigError."""
        for name in self.values:
            if name not in known:
                raise self.error(f"nothing here is called {name!r}", table=name, key=name, hint=_near(name, known))

    def read(self, cls: type[T], values: dict[str, Any], *, table: str = "", index: int = 0) -> T:
        """A dataclass from a table. Raises ConfigError that points at the key that is wrong, unknown or missing."""
        fields = {each.name: each for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given: dict[str, Any] = {}
        for key, value in values.items():
            if key not in fields:
                raise self.error(
                    f"{table or 'the file'} has no setting {key!r}",
                    table=table,
                    index=index,
                    key=key,
                    hint=_near(key, set(fields)),
                )
            try:
                given[key] = _fitting(key, value, fields[key])
            except BadSetting as error:
                raise self.error(error.message, table=table, index=index, key=key, hint=error.hint) from error
        missing = [
            name
            for name, each in fields.items()
            if name not in given and each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise self.error(
                f"{table} needs {', '.join(missing)}", table=table, index=index, hint=f"add a line {missing[0]} = …"
            )
        try:
            return cls(**given)
        except BadSetting as error:
            raise self.error(error.message, table=table, index=index, key=error.key, hint=error.hint) from error


def _near(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, 3)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(sorted(known))}"


_KINDS = {"float": "a number", "int": "a whole number", "str": 'a text in "quotes"', "bool": "true or false"}


def _fitting(key: str, value: Any, field: dataclasses.Field[Any]) -> Any:
    """A TOML value as the field's annotation wants it; lists become tuples. Raises BadSetting."""
    kinds = [kind.strip() for kind in str(field.type).split("|")]
    for kind in kinds:
        if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                break
        if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
            return value
        if kind == "str" and isinstance(value, str):
            return value
        if kind == "bool" and isinstance(value, bool):
            return value
        if kind.startswith("tuple[") and isinstance(value, list):
            inner = kind[6:-1].split(",")[0].strip()
            if inner == "str" and all(isinstance(each, str) for each in value):
                return tuple(value)
            if inner == "float" and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):
                wanted = 0 if "..." in kind else kind.count("float")
                if wanted in (0, len(value)):
                    return tuple(map(float, value))
    wish = " or ".join(_KINDS.get(kind, "a list in [brackets]") for kind in kinds if kind != "None")
    raise BadSetting(key, f"{key} cannot be {str(value)[:60]!r}", hint=wish)


def toml_value(value: Any) -> str:
    """A value as TOML writes it. Texts, numbers, truth values and lists of them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in plain) + '"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
