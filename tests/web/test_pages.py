"""The pages and the JSON, asked in this process: escaping, error shape, Host check, headers, HTML that closes what it opens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from osgp.headend.store import Store
from osgp.web.app import create_app
from osgp.web.fleet.service import FleetService
from osgp.web.guard import CONTENT_SECURITY_POLICY, host_of
from osgp.web.live import Resting
from osgp.web.rendering import ago, off, quantity, span, when
from tests.web.sample import HOSTILE, NOW, STEP, sample_store

PAGES = (
    "/",
    "/?q=frozen&sort=power&order=desc",
    "/?q=<script>",
    "/parts/fleet",
    "/devices/1",
    "/devices/4",
    "/devices/5",
    "/devices/6",
    "/parts/devices/1/values",
    "/parts/devices/1/logs",
    "/devices/1/tables/BT03",
    "/devices/1/tables/BT23",
    "/devices/1/tables/BT64?start=2048",
    "/devices/1/tables/1999",
    "/devices/77",
    "/nothing/here",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with sample_store(tmp_path_factory.mktemp("store") / "s.sqlite") as found:
        yield found


@pytest.fixture(scope="module")
def app(store: Store) -> FastAPI:
    return create_app(store)


def get(app: FastAPI, path: str, *, host: str = "127.0.0.1:8080", method: str = "GET") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            return await client.request(method, path, headers={"host": host})

    return asyncio.run(ask())


class Checker(HTMLParser):
    """Notes tags that do not close, ids that occur twice, scripts and styles in line, and what the page would load."""

    VOID = frozenset(["meta", "link", "input", "img", "br", "hr"])

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.bad: list[str] = []
        self.loads: list[str] = []
        self.labels: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "script" and not given.get("src"):
            self.bad.append("a script in line")
        if tag == "style" or "style" in given:
            self.bad.append("a style in line")
        self.bad += [f"{name} on {tag}" for name in given if name.startswith("on")]
        if tag == "img" and "alt" not in given:
            self.bad.append("a picture without words")
        for name in ("src", "href", "action", "hx-get"):
            if given.get(name):
                self.loads.append(str(given[name]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.bad.append(f"</{tag}> closes {self.open[-1:]}")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def checked(text: str) -> Checker:
    found = Checker()
    found.feed(text)
    found.close()
    return found


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_sound_html_and_loads_nothing_from_elsewhere(app: FastAPI, path: str) -> None:
    answer = get(app, path)
    assert answer.headers["content-type"].startswith("text/html")
    found = checked(answer.text)
    assert not found.open
    assert not found.bad
    assert len(found.ids) == len(set(found.ids))
    assert all(each.startswith(("/", "#", "?")) and not each.startswith("//") for each in found.loads)
    if not path.startswith("/parts"):
        assert answer.text.startswith("<!doctype html>")
        assert "<title>" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_hostile_names_stay_text(app: FastAPI, path: str) -> None:
    text = get(app, path).text
    assert "<script>alert" not in text
    assert "'<b>" not in text


def test_a_hostile_name_is_shown_as_it_is(app: FastAPI) -> None:
    assert HOSTILE in "".join(checked(get(app, "/devices/6").text).texts)


def test_everything_the_pages_load_is_there(app: FastAPI) -> None:
    needed = {each for path in PAGES for each in checked(get(app, path).text).loads if each.startswith("/static/")}
    assert len(needed) >= 7
    for each in needed:
        assert get(app, each).status_code == 200, each


@pytest.mark.parametrize("path", ["/", "/api/fleet", "/static/osgp.css", "/nothing", "/health"])
def test_every_answer_carries_the_headers(app: FastAPI, path: str) -> None:
    headers = get(app, path).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/devices/77", 404, "no_such_device"),
        ("/api/devices/1/tables/BT99", 404, "no_such_read"),
        ("/api/devices/1/tables/BT23?read=99999", 404, "no_such_read"),
        ("/api/devices/1/tables/XYZ", 404, "no_such_table"),
        ("/api/devices/one", 422, "wrong_parameter"),
        ("/api/devices/1/profile?range=9d", 422, "wrong_parameter"),
        ("/api/devices/1/events?limit=x", 422, "wrong_parameter"),
        ("/api/nothing", 404, "not_found"),
    ],
)
def test_every_error_has_the_same_shape(app: FastAPI, path: str, status: int, code: str) -> None:
    answer = get(app, path)
    assert answer.status_code == status
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"status", "code", "message", "hint"}
    assert (body["error"]["status"], body["error"]["code"]) == (status, code)
    assert body["error"]["message"]


def test_a_wrong_method_has_the_shape_too(app: FastAPI) -> None:
    answer = get(app, "/api/fleet", method="POST")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert "GET" in answer.headers["allow"]


def test_a_store_that_fails_is_an_error_of_the_same_shape(tmp_path: Path) -> None:
    with sample_store(tmp_path / "s.sqlite") as store:
        app = create_app(store)
        with store.writing() as connection:
            connection.exec_driver_sql("DROP TABLE reading")
        answer = get(app, "/api/devices/1/readings")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_unavailable"
    assert get(app, "/devices/1").status_code == 503


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "localhost.evil"])
@pytest.mark.parametrize("path", ["/", "/api/fleet", "/static/osgp.css", "/health"])
def test_a_foreign_name_is_refused(app: FastAPI, host: str, path: str) -> None:
    answer = get(app, path, host=host)
    assert answer.status_code == 421
    assert "meter-1" not in answer.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "LocalHost", "[::1]:8080", "localhost."]
)
def test_our_own_names_pass(app: FastAPI, host: str) -> None:
    assert get(app, "/health", host=host).status_code == 200


def test_a_further_name_can_be_allowed(store: Store) -> None:
    app = create_app(store, hosts=("meters.lan",))
    assert get(app, "/health", host="meters.lan:80").status_code == 200
    assert get(app, "/health", host="127.0.0.1").status_code == 421
    assert host_of("[::1]:80") == "[::1]"


def test_health_counts(app: FastAPI) -> None:
    body = get(app, "/health").json()
    assert body["status"] == "ok"
    assert body["store"]["devices"] == 6


def rows(app: FastAPI, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(app, f"/api/fleet{query}").json()["devices"]
    return found


def test_the_fleet_in_natural_order(app: FastAPI) -> None:
    assert [row["name"] for row in rows(app)] == [HOSTILE, "meter-1", "meter-2", "meter-4", "meter-5", "meter-10"]


def test_a_row_tells_values_doubts_and_completeness(app: FastAPI) -> None:
    by_name = {row["name"]: row for row in rows(app)}
    assert by_name["meter-1"]["power_w"] == 450
    assert by_name["meter-1"]["energy_import_wh"] == 5_004_712
    assert by_name["meter-1"]["completeness"]["percent"] == 100
    assert by_name["meter-1"]["alarms"] == [{"severity": "warning", "text": "low battery"}]
    assert by_name["meter-1"]["flags"] == []
    assert by_name["meter-2"]["flags"] == ["fwd active energy: frozen"]
    assert by_name["meter-10"]["completeness"] == {"day": "2026-05-27", "have": 84, "expected": 96, "percent": 87.5}
    assert (by_name["meter-4"]["state"], by_name["meter-4"]["failures"]) == ("failed", 1)
    assert "nobody answered" in by_name["meter-4"]["detail"]
    assert by_name["meter-5"]["state"] == "never"


def test_filter_and_sort(app: FastAPI) -> None:
    assert [row["name"] for row in rows(app, "?q=frozen")] == ["meter-2"]
    assert [row["name"] for row in rows(app, "?q=METER%20mep")] == ["meter-2", "meter-4"]
    assert rows(app, "?q=nobody+of+that+name") == []
    powers = [row["power_w"] for row in rows(app, "?sort=power&order=desc")]
    assert powers == [2700, 1350, 900, 450, None, None], "what was not read comes last"
    assert [row["power_w"] for row in rows(app, "?sort=power")][:4] == [450, 900, 1350, 2700]
    assert [row["name"] for row in rows(app, "?sort=nonsense&order=up")][1] == "meter-1"


@pytest.mark.parametrize(
    "key", ["name", "model", "serial", "door", "visit", "state", "import", "export", "power", "alarms", "complete"]
)
def test_every_column_sorts_both_ways(app: FastAPI, key: str) -> None:
    up, down = rows(app, f"?sort={key}&order=asc"), rows(app, f"?sort={key}&order=desc")
    assert sorted(row["id"] for row in up) == sorted(row["id"] for row in down) == [1, 2, 3, 4, 5, 6]
    answer = get(app, f"/?sort={key}&order=desc").text
    assert answer.count('aria-sort="descending"') == 1


def test_a_row_is_made_anew_when_its_device_was_visited(tmp_path: Path) -> None:
    with sample_store(tmp_path / "s.sqlite") as store:
        service = FleetService(store, Resting())
        before = service.rows()
        assert service.rows() is before
        visit = store.begin_visit(5, NOW)
        store.end_visit(visit, NOW + 1, "failed", error="no carrier")
        service.fresh_s = 0
        after = {row.name: row for row in service.rows()}
        assert after["meter-5"].state == "failed"
        assert after["meter-1"] is next(row for row in before if row.name == "meter-1")


def profile(app: FastAPI, number: int, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = get(app, f"/api/devices/{number}/profile{query}").json()
    return found


def test_a_gap_stays_a_gap(app: FastAPI) -> None:
    found = profile(app, 3)
    times = found["time"]
    assert all(later - earlier == STEP for earlier, later in pairwise(times))
    assert found["missing"] == 12
    assert times[-1] == NOW
    for series in found["series"]:
        assert len(series["values"]) == len(times)
        # The first interval has no growth, and neither has the one after the gap.
        empty = [place for place, value in enumerate(series["values"]) if value is None]
        assert len(empty) == (14 if series["cumulative"] else 12)


def test_counters_as_used_or_as_registers(app: FastAPI) -> None:
    used, register = profile(app, 1)["series"][0], profile(app, 1, "?counters=register")["series"][0]
    assert used["unit"] == register["unit"] == "Wh"
    assert used["values"][5] == register["values"][5] - register["values"][4]
    assert used["values"][0] is None
    assert register["values"][0] is not None
    volts = profile(app, 1)["series"][2]
    assert 228 < volts["values"][0] < 232


def test_ranges(app: FastAPI) -> None:
    lengths = [len(profile(app, 1, f"?range={each}")["time"]) for each in ("1d", "7d", "all")]
    assert lengths == [97, 673, 768]
    assert profile(app, 5, "?range=all")["time"] == []


def test_a_frozen_counter_is_flagged_a_resting_one_is_not(app: FastAPI) -> None:
    imported, exported, _ = profile(app, 2)["series"]
    assert imported["flags"]
    assert {word for flag in imported["flags"] for word in flag["words"]} == {"frozen"}
    assert exported["flags"] == [], "export stands still every night"


def test_a_table_is_explained(app: FastAPI) -> None:
    found = get(app, "/api/devices/1/tables/BT03").json()
    assert found["table"] == "BT03"
    names = [node["name"] for node in found["tree"]["children"]]
    assert names[0] == "ED_MODE"
    page = get(app, "/devices/1/tables/BT03").text
    assert "low battery" in page
    assert 'data-bit="8" data-width="1"' in page


def test_a_long_table_comes_in_parts(app: FastAPI) -> None:
    first, third = (get(app, f"/devices/1/tables/BT64?start={start}").text for start in (0, 2100))
    assert 'data-at="0"' in first
    assert 'data-at="1024"' not in first.partition("Fields")[0]
    assert ">2048</a>" in first
    assert 'data-at="2048"' in third
    assert 'data-at="3071"' in third


def test_a_table_without_a_layout_shows_its_bytes(app: FastAPI) -> None:
    text = get(app, "/devices/1/tables/1999").text
    assert "no layout is declared" in text
    assert ">6F<" in text


@pytest.mark.parametrize("what", ["readings", "events", "visits", "tables"])
def test_json_of_a_device(app: FastAPI, what: str) -> None:
    assert get(app, f"/api/devices/1/{what}").json()
    assert get(app, f"/api/devices/5/{what}").json() == []
    assert get(app, "/api/devices/1").json()["name"] == "meter-1"


def test_words_for_people() -> None:
    assert when(0) == "1970-01-01 00:00"
    assert when(None) == "–"
    assert span(42) == "42\u202fs"
    assert span(7200) == "2\u202fh"
    assert ago(None, 5) == "never"
    assert ago(100, 101) == "just now"
    assert [off(each) for each in (-0.4, -1.6, 3.0)] == ["0\u202fs", "−2\u202fs", "+3\u202fs"]
    assert quantity(1234567, "Wh") == "1\u202f234.567 kWh"
    assert quantity(-1234, "W") == "−1\u202f234 W"
    assert quantity(None, "W") == "–"
    assert quantity("text", "") == "text"
    assert quantity(0.98) == "0.98"
