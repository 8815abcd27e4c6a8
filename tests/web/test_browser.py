"""The pages in a real Chromium, cut off from every network but this machine: what a person sees, points at and types."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from osgp.web.app import create_app
from tests.web.sample import sample_store

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sample_store(tmp_path_factory.mktemp("store") / "s.sqlite") as store:
        server = uvicorn.Server(uvicorn.Config(create_app(store), host="127.0.0.1", port=0, log_level="warning"))
        ready = threading.Event()
        started = server.startup

        async def startup(sockets: Any = None) -> None:
            await started(sockets)
            ready.set()

        server.startup = startup  # type: ignore[method-assign]  # the only way to learn the port without waiting
        thread = threading.Thread(target=server.run)
        thread.start()
        assert ready.wait(30)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that fails its test if anything is said on the console or asked of another machine."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}, color_scheme="light")
    found = context.new_page()
    said: list[str] = []
    foreign: list[str] = []
    found.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    found.on("pageerror", lambda error: said.append(str(error)))
    found.on("request", lambda asked: None if asked.url.startswith(address) else foreign.append(asked.url))
    yield found
    context.close()
    assert not said
    assert not foreign


def names(page: Page) -> list[str]:
    return page.locator("#fleet-table tbody th").all_inner_texts()


def test_the_filter_narrows_while_one_types(page: Page) -> None:
    page.goto("/")
    assert len(names(page)) == 6
    page.get_by_label("Filter").press_sequentially("frozen")
    expect(page.locator("#fleet-table tbody tr")).to_have_count(1)
    expect(page.get_by_label("Filter")).to_be_focused()
    page.get_by_label("Filter").fill("nobody has this name")
    expect(page.locator("#fleet")).to_contain_text("No device matches")


def test_sorting_is_told_and_survives_the_refresh(page: Page) -> None:
    page.goto("/")
    head = page.get_by_role("columnheader", name="Power now")
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page)[1] == "meter-10"
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(page)[:3] == ["meter-1", "meter-2", "meter-10"]
    assert "sort=power" in page.url
    with page.expect_response(lambda answer: "/parts/fleet" in answer.url and "sort=power" in answer.url):
        pass  # the next refresh asks for the same order
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(head.get_by_role("link")).to_be_focused()


def test_a_refresh_shows_what_is_new(page: Page) -> None:
    page.goto("/")
    page.route("**/parts/fleet?**", lambda route: route.fulfill(body="<p id='new'>fresh</p>", content_type="text/html"))
    expect(page.locator("#fleet #new")).to_have_text("fresh", timeout=15_000)


def painted(page: Page) -> int:
    """Points of the canvas that are not empty."""
    found: int = page.evaluate(
        """() => { const c = document.querySelector('#plot canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n += 1; return n; }"""
    )
    return found


def test_the_plot_is_drawn_and_follows_its_choices(page: Page) -> None:
    page.goto("/devices/3")
    expect(page.locator("#plot")).to_have_attribute("data-drawn", "2")
    both = painted(page)
    assert both > 2000
    expect(page.locator("#plot-summary")).to_contain_text("673 intervals of 15 min")
    expect(page.locator("#plot-summary")).to_contain_text("12 intervals are missing")
    page.get_by_label("Rev active Wh").uncheck()
    expect(page.locator("#plot")).to_have_attribute("data-drawn", "1")
    assert 0 < painted(page) < both
    page.get_by_label("1 day").check()
    expect(page.locator("#plot-summary")).to_contain_text("97 intervals")
    expect(page.get_by_label("Rev active Wh")).not_to_be_checked()
    page.get_by_label("register").check()
    page.get_by_label("RMS voltage").check()
    expect(page.locator("#plot")).to_have_attribute("data-drawn", "2")
    for label in ("Fwd active Wh", "RMS voltage"):
        page.get_by_label(label).uncheck()
    expect(page.locator("#plot")).to_contain_text("No channel is chosen")


def test_the_plot_is_read_with_the_keyboard(page: Page) -> None:
    page.goto("/devices/1")
    expect(page.locator("#plot")).to_have_attribute("data-drawn", "2")
    page.locator("#plot").focus()
    page.keyboard.press("End")
    expect(page.locator("#plot-readout")).to_contain_text("2026-05-28 20:30 · Fwd active Wh:")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#plot-readout")).to_contain_text("2026-05-28 20:15")
    page.keyboard.press("Home")
    expect(page.locator("#plot-readout")).to_contain_text("2026-05-21 20:30 · Fwd active Wh: –")


def test_doubtful_intervals_are_listed_and_the_numbers_are_there_as_a_table(page: Page) -> None:
    page.goto("/devices/2")
    expect(page.locator("#plot-odd")).to_contain_text("frozen Fwd active Wh")
    page.get_by_text("Newest intervals as a table").click()
    expect(page.locator("#plot-table tbody tr")).to_have_count(96)


def test_a_field_marks_its_bytes_and_a_byte_its_field(page: Page) -> None:
    page.goto("/devices/1/tables/BT03")
    lit = page.locator("#hex .byte.lit")
    page.locator("#fields tr", has_text="standard status").hover()
    assert lit.all_inner_texts() == ["00", "01"]
    page.locator("#fields tr", has_text="LOW_BATTERY").hover()
    expect(page.locator("#bits mark")).to_have_text("1")
    expect(page.locator("#bits")).to_have_text("bits 0000000100000000")
    expect(page.locator("#about-source")).to_contain_text("p. 45")
    page.locator('#hex .byte[data-at="0"]').hover()
    expect(page.locator("#fields tr.lit").first).to_contain_text("ED_MODE")
    assert page.locator("#fields tr.lit").count() == 5, "the word and its four bit fields"


def test_the_table_page_by_keyboard_alone(page: Page) -> None:
    page.goto("/devices/1/tables/BT23")
    page.locator("#hex .byte").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#fields tr.lit").first).to_contain_text("SUMMATIONS[0]")
    page.keyboard.press("Tab")
    expect(page.locator("#fields tbody tr").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#fields tbody tr").nth(2)).to_be_focused()
    assert page.locator("#hex .byte.lit").count() == 4
    expect(page.locator("#about-place")).to_have_text("bytes 1 to 4")


def reached(page: Page, stops: int) -> list[str]:
    """What the Tab key reaches, one by one."""
    found = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        found.append(page.evaluate("(document.activeElement.id || document.activeElement.textContent).trim()"))
    return found


def test_the_tab_key_reaches_everything(page: Page) -> None:
    page.goto("/")
    found = reached(page, 24)
    for wanted in ("Skip to the content", "theme", "q", "sort-power", "sort-complete", "meter-1", "meter-10", "API"):
        assert wanted in found, wanted
    page.goto("/devices/1")
    expect(page.locator("#plot")).to_have_attribute("data-drawn", "2")
    assert "plot" in reached(page, 22)


def test_enter_on_a_sort_link_sorts(page: Page) -> None:
    page.goto("/")
    page.locator("#sort-import").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Import")).to_have_attribute("aria-sort", "descending")


def ground(page: Page) -> str:
    found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return found


def test_dark_by_the_system_and_by_choice(page: Page) -> None:
    page.goto("/")
    light = ground(page)
    page.emulate_media(color_scheme="dark")
    dark = ground(page)
    assert light != dark
    button = page.locator("#theme")
    button.click()
    expect(button).to_have_text("Theme: light")
    assert ground(page) == light
    button.click()
    expect(button).to_have_text("Theme: dark")
    page.emulate_media(color_scheme="light")
    assert ground(page) == dark
    page.goto("/devices/1")
    assert ground(page) == dark, "the choice stays"


# Runs in the page: the contrast (WCAG 2.1, 1.4.3) of every text against the first opaque ground behind it.
CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
  const lum = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const bad = new Set();
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest('.hidden')) continue;
    let g = e; while (g && parse(getComputedStyle(g).backgroundColor)[3] < 1) g = g.parentElement;
    const a = lum(parse(getComputedStyle(e).color)), b = lum(parse(getComputedStyle(g ?? document.body).backgroundColor));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(`${e.className || e.tagName} ${ratio.toFixed(2)}`);
  }
  return [...bad]; }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/devices/2", "/devices/1/tables/BT03"])
def test_every_text_has_contrast(page: Page, path: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(path)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("path", ["/", "/devices/6", "/devices/1/tables/BT23", "/devices/1/tables/BT64"])
def test_nothing_runs_off_a_phone(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_the_pages_still_tell(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("columnheader", name="Power now").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Power now")).to_have_attribute("aria-sort", "descending")
    page.get_by_label("Filter").fill("frozen")
    page.get_by_label("Filter").press("Enter")
    expect(page.locator("#fleet-table tbody tr")).to_have_count(1)
    page.get_by_role("link", name="meter-2").click()
    expect(page.locator("#values-part")).to_contain_text("Fwd active energy")
    context.close()
