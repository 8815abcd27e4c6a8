"""Templates and how values look to a person: times, quantities, units. Everything is escaped by default."""

from __future__ import annotations

import datetime as dt
from contextvars import ContextVar
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

import osgp

__all__ = ["FLEET", "SECTIONS", "STREET", "ago", "environment", "off", "page", "quantity", "span", "when"]

FLEET, STREET = ("/", "Fleet"), ("/street", "Street")
"""What there may be: (address, title)."""
SECTIONS: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("sections", default=(FLEET,))
"""What there is in the application that answers."""
_THIN = "\u202f"
_KILO = {"Wh": "kWh", "varh": "kvarh", "VAh": "kVAh"}


def when(epoch: float | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """Seconds since 1970 as date and time, UTC; a dash without any."""
    if epoch is None:
        return "–"
    return dt.datetime.fromtimestamp(epoch, dt.UTC).strftime(form)


def span(seconds: float) -> str:
    """A duration in the one unit that tells most: 42 s, 5 min, 3 h, 2 d."""
    seconds = abs(seconds)
    for size, unit, limit in ((1, "s", 90), (60, "min", 90 * 60), (3600, "h", 36 * 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f}{_THIN}{unit}"
    return f"{seconds / 86400:.0f}{_THIN}d"


def off(seconds: float) -> str:
    """How far a clock is off, in whole seconds with their sign: +3 s, −2 s, 0 s."""
    whole = round(seconds)
    return f"{'+' if whole > 0 else '−' if whole < 0 else ''}{abs(whole)}{_THIN}s"


def ago(epoch: float | None, now: float) -> str:
    """How long ago; "never" without a time."""
    if epoch is None:
        return "never"
    return "just now" if now - epoch < 2 else f"{span(now - epoch)} ago"


def _grouped(text: str) -> str:
    """Thin spaces between thousands."""
    whole, dot, rest = text.partition(".")
    sign, digits = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
    groups: list[str] = []
    while len(digits) > 3:
        digits, group = digits[:-3], digits[-3:]
        groups.insert(0, group)
    return sign + _THIN.join([digits, *groups]) + dot + rest


def quantity(value: Any, unit: str = "") -> str:
    """A value with its unit. Energy is shown in kilo units with all its digits, texts as they are."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{value} {unit}".strip()
    if unit in _KILO:
        return f"{_grouped(f'{value / 1000:.3f}')} {_KILO[unit]}"
    text = str(value) if isinstance(value, int) else f"{value:.10g}"
    if "e" in text:
        return f"{text} {unit}".strip()
    return f"{_grouped(text)} {unit}".strip()


@cache
def environment() -> Environment:
    """The templates, compiled once."""
    made = Environment(
        loader=PackageLoader("osgp.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(off=off, when=when, quantity=quantity, span=span)
    made.globals.update(ago=ago, version=osgp.__version__, sections=SECTIONS.get)
    return made


def page(template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A rendered template."""
    return HTMLResponse(environment().get_template(template).render(**values), status)
