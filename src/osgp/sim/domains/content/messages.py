"""What is said: a part of BT23 is read, and now and then a meter raises an alert; where each number lies in these messages.

The messages are put together by the builders of ``osgp.tables.services`` and the declarations of ``osgp.app.messages``; places of
fields are asked from there. Which registers are read, and that reports are alerts of a voltage sag, is a project choice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import cached_property

from osgp.app.messages import Alert, AlertFrame, SecuredRequest, SecuredResponse
from osgp.app.profile import OsgpProfile
from osgp.node.meter_image import MODELS, build_image
from osgp.node.osgp_alerts import CLASSES
from osgp.tables.bt.bt22 import BT22
from osgp.tables.bt.bt23 import BT23
from osgp.tables.et.et55 import ET55
from osgp.tables.events import event_number
from osgp.tables.image import Image
from osgp.tables.naming import CUMULATIVE_UNITS, short_name
from osgp.tables.services import PartialRead, ResponseCode, encode_request, encode_response
from osgp.tables.sources import source
from osgp.wire import Context, Firmware, LTime, Struct, layout_of
from osgp.wire.errors import ConfigError

__all__ = ["START", "Contents", "places"]

START = dt.datetime(2026, 1, 12, 17, 0, tzinfo=dt.UTC)
"""When a simulation begins, if nobody says: a winter evening."""
_FIRMWARE = Firmware(4, 30)
_EVENT = "voltage_sag"


def places(struct: type[Struct], raw: bytes) -> dict[str, tuple[int, int]]:
    """Offset and size of each field that these bytes have."""
    return {node.name: (node.offset, node.size) for node in layout_of(struct).explain(raw).children}


@dataclass(frozen=True)
class Contents:
    """What the frames of all domains have in them.

    ``first``, ``count``: the registers that are read, as places among the summations of BT23 (from 0; Wh, varh or VAh for the
    energies). ``model``: of the meters. ``start``: UTC of the first moment. ``retries``: said to repeaters, and how often a hop
    repeats its request. Raises ConfigError for registers that the model does not have, or that one answer does not hold.
    """

    first: int = 0
    count: int = 15
    model: str = "1ph"
    start: dt.datetime = START
    retries: int = 3
    profile: OsgpProfile = field(default_factory=OsgpProfile)

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ConfigError(f"there is no model {self.model!r}", hint=f"models: {', '.join(MODELS)}")
        there = len(self.selected)
        if not (0 <= self.first < there and 1 <= self.count <= there - self.first):
            raise ConfigError(
                f"registers {self.first} to {self.first + self.count - 1} are not within 0 to {there - 1}",
                hint="places among the summations of BT23",
            )
        most = self.profile.limits.max_read
        if self.span[1] > most:
            raise ConfigError(f"{self.span[1]} bytes of registers are more than the {most} that one answer holds")
        if self.start.tzinfo is None or not 2000 <= self.start.year <= 2200:
            raise ConfigError(f"{self.start} is no moment to begin at", hint="with a time zone, from 2000 to 2200")

    # ---- the table ---------------------------------------------------------------------------------------------------
    @cached_property
    def _image(self) -> Image:
        return build_image(MODELS[self.model], "", _FIRMWARE, ())

    @property
    def context(self) -> Context:
        """The dimensions of the meters."""
        return self._image.context

    @cached_property
    def selected(self) -> tuple[int, ...]:
        """Source IDs of the summations of BT23 in their order (BT22)."""
        return tuple(self._image.decode(BT22).summation_select)

    @property
    def sources(self) -> tuple[int, ...]:
        """Source IDs of the registers that are read."""
        return self.selected[self.first : self.first + self.count]

    @cached_property
    def _measured(self) -> list[tuple[str, str]]:
        """Name and unit of each register that is read."""
        printed = BT23.TotDataBlock.specs["summations"].elements
        found = []
        for place, number in enumerate(self.sources, self.first):
            element = printed.get(place)
            if element is not None and element.source_id in (None, number):
                found.append((short_name(element.name), element.unit))
            else:
                found.append((short_name(source(number).name), source(number).unit))
        return found

    @property
    def names(self) -> list[str]:
        """Columns of readings: our name of what is measured, and its unit in brackets."""
        return [f"{name}[{unit}]" if unit else name for name, unit in self._measured]

    @cached_property
    def scales(self) -> list[int]:
        """What a count of each register is in its unit: energies count in ET55.ENERGY_REG_UNIT."""
        unit = int(self._image.decode(ET55).energy_reg_unit or 1)
        return [unit if named in CUMULATIVE_UNITS else 1 for _, named in self._measured]

    @property
    def path(self) -> str:
        """What is read, as a path."""
        return f"BT23.tot_data_block.summations[{self.first}:{self.first + self.count}]"

    @cached_property
    def span(self) -> tuple[int, int]:
        """Offset and size in BT23. ConfigError if the values do not lie side by side as whole numbers of four bytes."""
        layout = layout_of(BT23, self.context)
        spans = [layout.span(f"tot_data_block.summations[{at}]") for at in range(self.first, self.first + self.count)]
        begin = spans[0].offset
        raw = bytearray(layout.encode(layout.zero()))
        for place, span in enumerate(spans):
            if (span.offset, span.size) != (begin + 4 * place, 4):
                raise ConfigError(f"{self.path} is not made of numbers of four bytes")
            raw[span.offset : span.offset + 4] = (-7 - place).to_bytes(4, "little", signed=True)
        if layout.decode(bytes(raw)).tot_data_block.summations[self.first : self.first + self.count] != [
            -7 - place for place in range(self.count)
        ]:
            raise ConfigError(f"{self.path} is not made of signed numbers")
        return begin, 4 * self.count

    # ---- messages ----------------------------------------------------------------------------------------------------
    @cached_property
    def request(self) -> bytes:
        """The plaintext of a request."""
        offset, size = self.span
        return encode_request(PartialRead(BT23.number, offset, size), checksum=False)

    @cached_property
    def answer(self) -> bytes:
        """The plaintext of an answer whose registers are all 0."""
        return encode_response(ResponseCode.OK, bytes(self.span[1]), checksum=False)

    @property
    def values_at(self) -> int:
        """Where the registers begin in ``answer``."""
        return len(self.answer) - self.span[1]

    @cached_property
    def alert(self) -> bytes:
        """The plaintext of an alert, its time and number 0."""
        return Alert(alert_class=CLASSES[_EVENT], event_id=event_number(_EVENT), time=LTime(), log_sequence=0).encode()

    @cached_property
    def alert_places(self) -> dict[str, tuple[int, int]]:
        """Places of the fields of ``alert``."""
        return places(Alert, self.alert)

    # ---- secured -----------------------------------------------------------------------------------------------------
    @cached_property
    def request_places(self) -> dict[str, tuple[int, int]]:
        """Places in a secured request."""
        return places(SecuredRequest, SecuredRequest(code=0, ciphertext=self.request, seq=0, tag=bytes(8)).encode())

    @cached_property
    def response_places(self) -> dict[str, tuple[int, int]]:
        """Places in a secured response."""
        return places(SecuredResponse, SecuredResponse(code=0, ciphertext=self.answer, tag=bytes(8)).encode())

    @cached_property
    def report_places(self) -> dict[str, tuple[int, int]]:
        """Places in an alert's frame."""
        return places(AlertFrame, AlertFrame(code=0, ciphertext=self.alert, actr=0, tag=bytes(8)).encode())

    @property
    def apdu_sizes(self) -> tuple[int, int, int]:
        """Bytes of the secured messages by ``Kind``."""
        found = []
        for each in (self.request_places, self.response_places, self.report_places):
            offset, size = each["tag"]
            found.append(offset + size)
        return found[0], found[1], found[2]
