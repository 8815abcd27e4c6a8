"""The street in a real Chromium: the map is drawn, a click shows a way, the slider goes back, events arrive, all of it by keyboard."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from osgp.concentrator.map_history import History, links_of, nodes_of
from osgp.web.app import create_app
from osgp.web.street.service import StreetWatch
from tests.web.sample import HOSTILE
from tests.web.serving import served
from tests.web.street_sample import START, Said, node_id
from tests.web.test_browser import CONTRAST, browser

__all__ = ["browser"]

CY = "document.getElementById('map')._cyreg.cy"


class Place:
    """A street on the screen: ``said`` decides what the concentrator says, ``look`` lets the pages know."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.watch = StreetWatch(said)
        self.app = create_app(None, street=self.watch)
        self.address = ""

    def look(self) -> None:
        self.said.wall += 60
        self.watch.look()


@pytest.fixture
def place() -> Iterator[Place]:
    found = Place(Said(8))
    found.look()
    with served(found.app) as found.address:
        yield found
        found.watch.closing.set()


@pytest.fixture
def page(browser: Browser, place: Place) -> Iterator[Page]:
    """A page that fails its test if anything is said on the console or asked of another machine."""
    context = browser.new_context(base_url=place.address, viewport={"width": 1280, "height": 900}, color_scheme="light")
    found = context.new_page()
    said: list[str] = []
    foreign: list[str] = []
    found.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    found.on("pageerror", lambda error: said.append(str(error)))
    found.on("request", lambda asked: None if asked.url.startswith(place.address) else foreign.append(asked.url))
    yield found
    context.close()
    assert not said
    assert not foreign


def opened(page: Page, devices: int = 8) -> None:
    page.goto("/street")
    expect(page.locator("#map")).to_have_attribute("data-devices", str(devices))


def eventually(page: Page, condition: str) -> None:
    """Wait for something in the page: what waits inside it would need to evaluate text, which its policy forbids."""
    end = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def colours(page: Page) -> dict[str, str]:
    """Of the devices, as they are painted."""
    found: dict[str, str] = page.evaluate(
        f"Object.fromEntries({CY}.nodes('[kind]').map((n) => [n.id(), n.style('background-color')]))"
    )
    return found


def painted(page: Page) -> int:
    """Points of the map that are not empty."""
    found: int = page.evaluate(
        """() => [...document.querySelectorAll('#map canvas')].reduce((sum, c) => {
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n += 1; return sum + n; }, 0)"""
    )
    return found


def click(page: Page, name: str) -> None:
    """On a device of the map, with the mouse."""
    at = page.evaluate(
        f"""() => {{ const p = {CY}.getElementById('{name}').renderedPosition();
        const b = document.getElementById('map').getBoundingClientRect(); return [b.left + p.x, b.top + p.y]; }}"""
    )
    page.mouse.click(*at)


def test_the_map_is_drawn_with_states_kinds_and_both_directions(page: Page, place: Place) -> None:
    place.said.states.update({2: "down", 3: "lost", 6: "heard"})
    place.look()
    opened(page)
    eventually(page, f"{CY}.edges('[halves]').length === 8")
    assert painted(page) > 3000
    shown = colours(page)
    assert len({shown[node_id(each)] for each in (1, 2, 3, 6)}) == 4
    shapes = page.evaluate(f"{CY}.nodes('[kind]').map((n) => n.style('shape'))")
    assert set(shapes) >= {"ellipse", "round-rectangle", "triangle", "hexagon", "pentagon", "diamond"}
    edge = f"{CY}.edges().filter((e) => e.target().id() === '{node_id(1)}' || e.source().id() === '{node_id(1)}')[0]"
    assert page.evaluate(f"[{edge}.data('source_db'), {edge}.data('target_db')]") == ["14", "19"]
    assert len(set(page.evaluate(f"{edge}.data('halves')"))) == 2


def test_a_click_shows_the_way_the_backup_and_leads_to_the_device(page: Page) -> None:
    opened(page)
    click(page, node_id(7))
    expect(page.locator("#map")).to_have_attribute("data-way", f"{node_id(1)} {node_id(7)}")
    expect(page.locator("#chosen")).to_contain_text("concentrator › house 1 › house 7 (2 legs)")
    assert page.evaluate(f"{CY}.edges('.way').length") == 2
    assert page.evaluate(f"{CY}.edges('.backup').length") >= 1
    assert page.evaluate(f"{CY}.nodes('.faded').length") >= 5
    page.mouse.click(*page.evaluate("(() => { const b = document.getElementById('map').getBoundingClientRect(); "
                                    "return [b.left + 8, b.bottom - 8]; })()"))  # fmt: skip
    expect(page.locator("#chosen")).to_contain_text("No device is chosen")
    click(page, node_id(7))
    page.get_by_role("link", name="Page of this device").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("house 7")


def test_all_known_links_are_drawn_when_asked_for(page: Page) -> None:
    opened(page)
    page.get_by_label("all that are known").check()
    expect(page.locator("#map")).to_have_attribute("data-links", "11")
    page.get_by_label("in use").check()
    expect(page.locator("#map")).to_have_attribute("data-links", "8")


def test_the_slider_goes_back_and_the_colours_with_it(page: Page, place: Place) -> None:
    opened(page)
    up = colours(page)[node_id(2)]
    place.said.states[2] = "down"
    place.look()
    eventually(page, f"{CY}.getElementById('{node_id(2)}').data('state') === 'down'")
    down = colours(page)[node_id(2)]
    assert down != up
    slider = page.get_by_label("Look back")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#time-shown")).to_contain_text("back then")
    eventually(page, f"{CY}.getElementById('{node_id(2)}').data('state') === 'up'")
    assert colours(page)[node_id(2)] == up
    place.said.states[3] = "lost"
    place.look()
    expect(page.locator("#happened")).to_be_visible()
    assert colours(page)[node_id(2)] == up, "news do not pull one out of the past"
    page.get_by_role("button", name="Now").click()
    eventually(page, f"{CY}.getElementById('{node_id(3)}').data('state') === 'lost'")
    assert colours(page)[node_id(2)] == down


def test_pages_that_begin_again_go_back_to_before_them(page: Page, place: Place) -> None:
    kept = History()
    place.said.states[2] = "lost"
    topology = place.said.status()["topology"]
    kept.note(START - 3600.0, nodes_of(topology), links_of(topology))
    place.said.states[2] = "up"
    place.said.past = [each.to_json() for each in kept.steps()]
    StreetWatch.__init__(place.watch, place.said)  # as after a restart of the pages, at the same address
    place.look()
    opened(page)
    now = colours(page)[node_id(2)]
    page.locator("#time").focus()
    page.keyboard.press("Home")
    expect(page.locator("#time-shown")).to_contain_text("(back then)")
    expect(page.locator("#map")).to_have_attribute("data-wall", f"{START - 3600.0:.0f}")
    assert colours(page)[node_id(2)] != now


def test_an_event_arrives_and_the_filter_keeps_others_out(page: Page, place: Place) -> None:
    opened(page)
    expect(page.locator("#stream")).to_have_text("live")
    table = page.locator("#happened tbody")
    place.said.happen("device_silent", device=2, failures=3)
    place.look()
    expect(table.locator("tr").first).to_contain_text("does not answer, 3 times in a row")
    page.get_by_label("At least").select_option("critical")
    expect(table.locator("tr")).to_have_count(0)
    place.said.happen("device_silent", device=3, failures=1)
    place.said.happen("topology", unique_node_id=node_id(4), what="lost", text=f"{node_id(4)} is lost")
    place.look()
    expect(table.locator("tr")).to_have_count(1)
    expect(table.locator("tr").first).to_contain_text(HOSTILE)
    page.get_by_label("Filter").fill("nothing like that")
    expect(table.locator("tr")).to_have_count(0)


def test_the_map_by_keyboard_alone(page: Page) -> None:
    opened(page)
    page.locator("#map").focus()
    page.keyboard.press("Home")
    expect(page.locator("#chosen")).to_contain_text("Concentrator")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#chosen")).to_contain_text("Device house 2")
    page.keyboard.press("Escape")
    expect(page.locator("#chosen")).to_contain_text("No device is chosen")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("house 1")


def test_a_concentrator_that_goes_is_told_and_the_map_stays(page: Page, place: Place) -> None:
    opened(page)
    expect(page.locator("#trouble")).to_be_hidden()
    place.said.dead = True
    place.watch.look()
    expect(page.locator("#trouble")).to_contain_text("no concentrator answers at street.sock")
    assert page.locator("#map").get_attribute("data-devices") == "8"
    place.said.dead = False
    place.look()
    expect(page.locator("#trouble")).to_be_hidden()


def test_five_hundred_devices_without_a_drawing_are_shown(page: Page, place: Place) -> None:
    Said.__init__(place.said, 500, drawn=False)  # another street at the same place
    place.look()
    opened(page, 500)
    expect(page.locator("#map")).to_have_attribute("data-links", "500")
    assert painted(page) > 1000
    assert page.locator("#device-table tbody tr").count() == 500


def test_a_device_page_shows_its_profile(page: Page) -> None:
    page.goto(f"/street/devices/{node_id(4)}")
    expect(page.locator("#plot")).to_have_attribute("data-drawn", "1")
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    for words in ("1\u202f234.567 kWh", "AES-128", f"Clock set by {HOSTILE}"):
        expect(page.locator("#device-part")).to_contain_text(words)


def test_from_a_device_to_the_bytes_of_a_table_and_back(page: Page) -> None:
    page.goto(f"/street/devices/{node_id(4)}")
    page.locator("#tables").scroll_into_view_if_needed()
    page.get_by_role("link", name="BT23").click()
    expect(page.locator("h1")).to_contain_text("BT23")
    field = page.locator("#fields tbody tr:not(.group)").first
    field.hover()
    expect(page.locator("#hex .byte.lit")).to_have_count(4)
    expect(page.locator("#hex .byte").first).to_have_text("··")
    expect(page.locator("#about-name")).not_to_be_empty()
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.locator("#tables")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/street", f"/street/devices/{node_id(4)}", f"/street/devices/{node_id(4)}/tables/BT23"]
)
def test_every_text_has_contrast(page: Page, path: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(path)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize(
    "path", ["/street", f"/street/devices/{node_id(4)}", f"/street/devices/{node_id(4)}/tables/BT23"]
)
def test_nothing_runs_off_a_phone(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_the_table_tells_the_same(browser: Browser, place: Place) -> None:
    place.said.happen("device_silent", device=2, failures=3)
    place.look()
    context = browser.new_context(base_url=place.address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/street?severity=warning")
    expect(page.locator("#happened tbody tr")).to_have_count(1)
    expect(page.locator(f"#row-{node_id(7)}")).to_contain_text("house 1 › house 7")
    page.get_by_role("link", name="house 7").first.click()
    expect(page.locator("#values")).to_be_visible()
    context.close()


def test_a_stream_tells_what_happened_since_and_ends_with_the_pages(place: Place) -> None:
    for text in ("first", "second"):
        place.said.happen("keys", text=text)
    place.look()
    with urlopen(f"{place.address}/api/street/stream?after=1", timeout=30) as stream:  # our own address
        lines = [stream.readline().decode().strip() for _ in range(4)]
        assert lines[:2] == ["id: 2", "event: happened"]
        assert json.loads(lines[2].removeprefix("data: "))["text"] == "second"
        assert stream.readline().decode() == "event: looked\n"
        assert json.loads(stream.readline().decode().removeprefix("data: "))["wall"] == START + 120
        begun = time.monotonic()
        place.watch.closing.set()
        stream.read()
    assert time.monotonic() - begun < 30, "it does not go on for ever"
