"""The street's pages and JSON: escaping, error shape, what a dead or strange concentrator leaves, back in time, and a real street."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from osgp.app.aes import psk_of
from osgp.app.profile import OsgpProfile
from osgp.concentrator.map_history import History, links_of, nodes_of
from osgp.concentrator.status_socket import Feed, StatusSocket
from osgp.street.live import LiveStreet
from osgp.street.run import NC
from osgp.street.torture import small_street
from osgp.web.app import create_app
from osgp.web.street.models import CENTRE
from osgp.web.street.places import rings
from osgp.web.street.service import StreetWatch
from osgp.web.street.source import SocketSource
from tests.web.sample import HOSTILE
from tests.web.street_sample import START, Said, node_id
from tests.web.test_pages import checked, get

PAGES = (
    "/street",
    "/street?severity=warning&q=<script>",
    "/parts/street",
    f"/street/devices/{node_id(1)}",
    f"/street/devices/{node_id(4)}",
    f"/parts/street/devices/{node_id(4)}",
    f"/street/devices/{node_id(4)}/tables/BT03",
    f"/street/devices/{node_id(4)}/tables/BT03?read=1",
    f"/street/devices/{node_id(4)}/tables/BT23",
    f"/street/devices/{node_id(4)}/tables/<b>",
    "/street/devices/<b>",
    "/nothing/here",
)


@pytest.fixture
def said() -> Said:
    found = Said()
    found.happen("topology", unique_node_id=node_id(4), what="lost", text=f"{node_id(4)} is lost")
    found.happen("alarm_raised", device=2, alarm="x", severity="critical", text=HOSTILE)
    found.happen("step_stored", device=3, what="registers", new=9)
    return found


@pytest.fixture
def watch(said: Said) -> StreetWatch:
    found = StreetWatch(said)
    found.look()
    return found


@pytest.fixture
def app(watch: StreetWatch) -> FastAPI:
    return create_app(None, street=watch)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_sound_html_and_hostile_names_stay_text(app: FastAPI, path: str) -> None:
    answer = get(app, path)
    assert answer.headers["content-type"].startswith("text/html")
    found = checked(answer.text)
    assert not found.open
    assert not found.bad
    assert len(found.ids) == len(set(found.ids))
    assert all(each.startswith(("/", "#", "?")) and not each.startswith("//") for each in found.loads)
    for hostile in ("<script>alert", "'<b>", "<b>by"):
        assert hostile not in answer.text
    for each in found.loads:
        if each.startswith("/static/"):
            assert get(app, each).status_code == 200, each


def test_a_hostile_name_is_shown_as_it_is(app: FastAPI) -> None:
    texts = "".join(checked(get(app, f"/street/devices/{node_id(4)}").text).texts)
    assert texts.count(HOSTILE) >= 5, "name, serial, reading, log and job"


def test_without_a_store_the_first_page_is_the_street(app: FastAPI) -> None:
    answer = get(app, "/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/street")
    assert ">Fleet<" not in get(app, "/street").text
    assert get(app, "/health").json()["concentrator"] == "ok"


@pytest.mark.parametrize("path", ["/street", "/api/street", "/api/street/map", "/api/street/stream"])
def test_a_foreign_name_is_refused(app: FastAPI, path: str) -> None:
    assert get(app, path, host="evil.example").status_code == 421


def test_a_table_that_was_read_whole_is_explained(app: FastAPI) -> None:
    listed = get(app, f"/api/street/devices/{node_id(4)}/tables").json()
    assert [(each["name"], each["reads"]) for each in listed] == [("BT03", 2), ("BT23", 1), ("BT64", 1)]
    address = f"/street/devices/{node_id(4)}/tables/BT03"
    assert f'href="{address}"' in get(app, f"/street/devices/{node_id(4)}").text
    text = get(app, address).text
    assert "low battery" in text
    assert "power line" in text
    assert "?read=1" in text
    assert "not read" not in text


def test_of_a_table_that_was_read_in_parts_nothing_is_made_up(app: FastAPI) -> None:
    found = get(app, f"/api/street/devices/{node_id(4)}/tables/BT23").json()
    assert (found["size"], found["known"], found["error"]) == (21, 12, "")

    def leaves(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not node.get("children"):
            yield node
        for child in node.get("children", ()):
            yield from leaves(child)

    told = {(each["offset"], each["size"]) for each in leaves(found["tree"])}
    assert told == {(1, 4), (5, 4), (17, 4)}
    text = get(app, f"/street/devices/{node_id(4)}/tables/BT23").text
    assert text.count(">··<") == 9
    assert "of which 12 were read" in text


def test_a_part_from_the_middle_of_a_long_table_is_what_is_shown_first(app: FastAPI) -> None:
    text = get(app, f"/street/devices/{node_id(4)}/tables/BT64").text
    assert 'data-at="2052"' in text
    assert 'data-at="0"' not in text.partition("Fields")[0]
    assert text.count('class="hexline"') == 6


@pytest.mark.parametrize("path", ["/street", "/api/street", "/api/street/map", f"/api/street/devices/{node_id(1)}"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_ordered(app: FastAPI, said: Said, path: str, method: str) -> None:
    assert get(app, path, method=method).status_code == 405
    assert not set(said.asked) - {"status", "events", "shapes", "history"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/street/devices/0a0b", 404, "no_such_device"),
        ("/api/street/devices/%3Cb%3E/profile", 404, "no_such_device"),
        (f"/api/street/devices/{node_id(1)}/profile?range=9d", 422, "wrong_parameter"),
        ("/api/street/events?severity=awful", 422, "wrong_parameter"),
        ("/api/street/events?last=x", 422, "wrong_parameter"),
        ("/api/street/map?at=yesterday", 422, "wrong_parameter"),
    ],
)
def test_every_error_has_the_same_shape(app: FastAPI, path: str, status: int, code: str) -> None:
    answer = get(app, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"status", "code", "message", "hint"}
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("at", ["nan", "inf", "-inf", "1e308"])
def test_moments_that_never_were_are_the_nearest(app: FastAPI, at: str) -> None:
    assert len(get(app, f"/api/street/map?at={at}").json()["nodes"]) == 9


def test_the_map_has_states_places_and_both_directions(app: FastAPI) -> None:
    found = get(app, "/api/street/map").json()
    nodes = {each["id"]: each for each in found["nodes"]}
    assert len(nodes) == 9
    assert nodes[node_id(5)]["way"] == [node_id(1), node_id(5)]
    assert (nodes[node_id(5)]["x"], nodes[node_id(5)]["y"]) == (300.0, 0.0)
    assert nodes[node_id(3)]["kind"] == "inverter"
    link = next(each for each in found["links"] if each["b"] == node_id(1))
    assert (link["a"], link["ab_db"], link["ba_db"]) == (CENTRE, 19.0, 14.0)
    assert found["cables"] == [[-60.0, 0.0, 600.0, 0.0]]


def test_events_have_a_severity_and_are_filtered(app: FastAPI) -> None:
    def texts(query: str) -> list[str]:
        return [each["text"] for each in get(app, f"/api/street/events{query}").json()]

    assert texts("") == [f"{HOSTILE} is lost", f"alarm: {HOSTILE}", "registers: 9 new rows in the journal"]
    assert texts("?severity=critical") == [f"{HOSTILE} is lost", f"alarm: {HOSTILE}"]
    assert texts("?q=house%203") == ["registers: 9 new rows in the journal"]
    assert texts("?after=2&last=5") == ["registers: 9 new rows in the journal"]
    assert texts("?last=0") == []


def test_one_goes_back_to_how_it_was(app: FastAPI, said: Said, watch: StreetWatch) -> None:
    for turn, state in enumerate(("down", "lost", "up"), 1):
        said.wall = START + 60 * turn
        said.states[2] = state
        watch.look()
    watch.look()
    now = get(app, "/api/street/map").json()
    assert now["live"]
    assert now["moments"] == [START, START + 60, START + 120, START + 180], "a look without news is no moment"

    def state(at: float) -> str:
        nodes = get(app, f"/api/street/map?at={at}").json()["nodes"]
        found: str = next(each["state"] for each in nodes if each["id"] == node_id(2))
        return found

    assert [state(START + 60 * turn + 1) for turn in range(4)] == ["up", "down", "lost", "up"]
    assert state(0) == "up", "before the beginning it is the beginning"


def test_a_concentrator_that_is_gone_leaves_its_last_picture_and_a_sentence(
    app: FastAPI, said: Said, watch: StreetWatch
) -> None:
    said.dead = True
    watch.look()
    page = get(app, "/street")
    assert page.status_code == 200
    assert "no concentrator answers at street.sock" in page.text
    assert "house 3" in page.text
    assert len(get(app, "/api/street/map").json()["nodes"]) == 9
    assert get(app, f"/api/street/devices/{node_id(1)}").json()["error"]["code"] == "no_concentrator"
    assert get(app, f"/street/devices/{node_id(1)}").status_code == 503
    assert "no concentrator" in get(app, "/health").json()["concentrator"]
    said.dead = False
    watch.look()
    assert get(app, "/api/street").json()["trouble"] == ""


@pytest.mark.parametrize("answer", [None, [], 7, "x", {}, {"topology": {}}, {"topology": None, "wall": "x", "now": 1}])
def test_what_is_no_concentrator_is_told_and_nothing_breaks(said: Said, watch: StreetWatch, answer: object) -> None:
    said.other = answer if answer is not None else {"topology": 0}
    watch.look()
    assert "does not speak as a concentrator" in watch.trouble
    assert len(watch.nodes()) == 8


def test_a_concentrator_that_was_started_again_is_listened_to_from_the_beginning(
    said: Said, watch: StreetWatch
) -> None:
    said.happened.clear()
    said.happen("keys", text="the vault is shut")
    said.wall = START - 50
    watch.look()
    assert [each.text for each in watch.events()][-1] == "the vault is shut"


# ---- history and places ----------------------------------------------------------------------------------------------
def test_pages_that_begin_again_have_the_past_that_the_concentrator_kept(said: Said) -> None:
    kept = History()
    for turn, state in enumerate(("up", "down", "lost")):
        said.states[1] = state
        topology = said.status()["topology"]
        kept.note(START - 7200.0 + 60 * turn, nodes_of(topology), links_of(topology))
    said.past = json.loads(json.dumps([step.to_json() for step in kept.steps()]))
    said.states[1] = "up"
    watch = StreetWatch(said)
    watch.look()
    said.wall += 1
    watch.look()
    assert said.asked.count("history") == 1
    moments = watch.map()["moments"]
    assert moments == [START - 7200, START - 7140, START - 7080, START]
    states = [
        next(each["state"] for each in watch.map(at)["nodes"] if each["id"] == node_id(1))
        for at in (*moments[:3], None)
    ]
    assert states == ["up", "down", "lost", "up"]


@pytest.mark.parametrize("past", [None, 7, [7], [{}], [{"wall": 1, "nodes": {"a": [1]}, "links": []}]])
def test_a_past_that_cannot_be_read_leaves_pages_with_what_they_see(said: Said, past: object) -> None:
    said.past = past
    watch = StreetWatch(said)
    watch.look()
    assert watch.trouble == ""
    assert watch.map()["moments"] == [START]


def test_a_notice_is_told_once_although_feed_and_status_have_it(said: Said, watch: StreetWatch) -> None:
    said.happen("notice", severity="warning", text="a clone", device=2)
    said.notices = [
        {"number": 1, "wall": START, "device": 2, "kind": "clone", "severity": "warning", "text": "a clone"}
    ]
    watch.look()
    assert [each.kind for each in watch.events(words="clone")] == ["clone"]


def test_without_a_drawing_everybody_has_a_place_of_his_own_on_the_ring_of_his_legs() -> None:
    said = Said(500, drawn=False)
    watch = StreetWatch(said)
    watch.look()
    nodes = watch.map()["nodes"]
    places = {each["id"]: (each["x"], each["y"]) for each in nodes}
    assert len(set(places.values())) == 501
    assert places[CENTRE] == (0.0, 0.0)
    radius = {each["id"]: math.hypot(each["x"], each["y"]) for each in nodes}
    by_legs: dict[int, list[float]] = {}
    for each in nodes[1:]:
        by_legs.setdefault(len(each["way"]), []).append(radius[each["id"]])
    assert all(max(by_legs[legs]) < min(by_legs[legs + 1]) for legs in range(1, max(by_legs)))


def test_a_device_goes_to_its_ring_when_its_way_is_known_and_stays_there_when_the_way_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = Said(8, drawn=False)
    usual = said.way
    monkeypatch.setattr(said, "way", lambda index: [])  # a street of which nothing is known yet
    watch = StreetWatch(said)

    def radius() -> list[int]:
        watch.look()
        return [round(math.hypot(each["x"], each["y"])) for each in watch.map()["nodes"][1:]]

    assert len(set(radius())) == 1
    monkeypatch.setattr(said, "way", usual)
    known = radius()
    assert known == [130, 130, 130, 260, 260, 260, 260, 260]
    monkeypatch.setattr(said, "way", lambda index: [] if index == 5 else usual(index))
    assert radius() == known
    monkeypatch.setattr(said, "way", lambda index: [1, 4, 5] if index == 5 else usual(index))
    assert radius()[4] == 390


def test_ways_that_lead_nowhere_or_in_a_circle_still_have_places() -> None:
    found = rings({"a": ("b", "a"), "b": ("a", "b"), "c": (), "d": ("gone", "d"), "e": ("e",)})
    assert set(found) == {CENTRE, "a", "b", "c", "d", "e"}


# ---- over a socket ------------------------------------------------------------------------------------------------------
def test_a_concentrator_of_another_process_is_shown_through_its_socket(said: Said, tmp_path: Path) -> None:
    feed = Feed()
    feed.add("device_silent", START, device=2, failures=1)
    socket = StatusSocket(tmp_path / "c.sock", lambda asked: said.ask(**dict(asked)), feed)
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        await socket.open()
        ready.set()
        await asyncio.to_thread(stop.wait)
        await socket.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        watch = StreetWatch(SocketSource(tmp_path / "c.sock"))
        watch.look()
        assert watch.trouble == ""
        app = create_app(None, street=watch)
        assert len(get(app, "/api/street/devices").json()) == 8
        assert get(app, "/api/street/events").json()[0]["text"] == "does not answer, 1 time in a row"
        assert get(app, f"/api/street/devices/{node_id(1)}").json()["keys"]["unicast_generation"] == 2
    finally:
        stop.set()
        thread.join(30)
    watch.look()
    assert "no concentrator answers" in watch.trouble
    assert len(get(app, "/api/street/devices").json()) == 8


# ---- a real street -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def street() -> Iterator[LiveStreet]:
    """Six houses of which an hour has passed."""
    with LiveStreet(small_street(6, hours=24), fast_hours=1.0) as found:
        end = time.monotonic() + 120
        while not found.is_paced and time.monotonic() < end and not found.ended.is_set():
            time.sleep(0.05)
        yield found
        assert found.failure is None


def test_a_real_street_is_shown_with_readings_profile_links_and_the_state_of_its_keys(street: LiveStreet) -> None:
    watch = StreetWatch(street)
    watch.look()
    assert watch.trouble == ""
    app = create_app(None, street=watch)
    devices = get(app, "/api/street/devices").json()
    assert len(devices) == 6
    assert {each["state"] for each in devices} == {"up"}
    assert {each["kind"] for each in devices} > {"1ph", "gateway"} or {each["kind"] for each in devices} > {"3ph"}
    name = devices[0]["id"]
    found = get(app, f"/api/street/devices/{name}").json()
    assert {"fwd_active_energy", "serial_number"} <= {each["name"] for each in found["readings"]}
    assert found["keys"]["ready"]
    assert found["links"]
    series = get(app, f"/api/street/devices/{name}/profile?counters=register").json()
    assert len(series["time"]) >= 3
    assert series["series"][0]["unit"] == "Wh"
    text = get(app, f"/street/devices/{name}").text
    assert "Fwd active energy" in text
    assert "AES-128" in text
    assert get(app, "/api/street/map").json()["drawn"]


def test_no_key_is_on_any_page(street: LiveStreet) -> None:
    watch = StreetWatch(street)
    watch.look()
    app = create_app(None, street=watch)
    paths = ["/street", "/api/street", "/api/street/map", "/api/street/devices", "/api/street/events?last=2000"]
    paths += [f"{kind}/{each.id}" for each in watch.nodes() for kind in ("/street/devices", "/api/street/devices")]
    first = watch.nodes()[0].id
    tables = [each["name"] for each in get(app, f"/api/street/devices/{first}/tables").json()]
    assert {"BT03", "BT23", "BT64"} <= set(tables)
    paths += [f"/street/devices/{first}/tables/{each}" for each in tables]
    shown = "".join(get(app, path).text for path in paths).lower()
    assert street._run is not None
    for device in street._run.devices:
        psk = psk_of(device.umk, device.unique_node_id, NC, 1, OsgpProfile())
        for key in (device.umk, psk):
            assert key.secret().hex() not in shown
    assert "laboratory" not in shown, "not even where a key is"
