"""What a map looked like before: bounded, coarser toward the past, complete, and there again after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osgp.concentrator.journal import Journal
from osgp.concentrator.map_history import History, KeptHistory, LinkRow, NodeThen, links_of, nodes_of, step_from_json

START = 1_780_000_200.0


def name(index: int) -> str:
    return f"{index:012x}"


class Street:
    """A chain of devices, as a topology tells of it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.states = dict.fromkeys(range(1, count + 1), "up")
        self.asked = 0

    def topology(self) -> dict[str, Any]:
        self.asked += 1
        indexes = range(1, self.count + 1)
        return {
            "nodes": [
                {
                    "unique_node_id": name(each),
                    "state": self.states[each],
                    "standing": "ours",
                    "way": [name(leg) for leg in range(1, each + 1)],
                    "backup": None,
                    "way_alternate": [False] * each,
                    "backup_alternate": [],
                }
                for each in indexes
            ],
            "links": [
                {"a": name(each - 1), "b": name(each), "alternate": False, "margin_ab_db": 20.0, "margin_ba_db": 14.0}
                for each in indexes
            ],
        }

    def rows(self) -> tuple[dict[str, NodeThen], list[LinkRow]]:
        found = self.topology()
        return nodes_of(found), links_of(found)


def test_history_is_bounded_fine_at_its_end_and_complete() -> None:
    street, history = Street(6), History(most=20)
    truth = {}
    for turn in range(500):
        street.states[1 + turn % 6] = "down" if turn % 4 < 2 else "up"
        wall = START + turn
        if history.note(wall, *street.rows()):
            truth[wall] = dict(street.states)
    moments = history.moments()
    assert len(moments) <= 20
    assert moments[0] == START, "the beginning stays"
    assert sum(moment < START + 250 for moment in moments) >= 2, "so does something of the time between"
    assert moments[-10:] == sorted(truth)[-10:], "the newest half is as it came"
    for moment in moments:
        then = history.at(moment)
        assert then is not None
        assert {name: each.state for name, each in then.nodes.items()} == {
            name(index): state for index, state in truth[moment].items()
        }


def test_a_device_that_is_removed_is_gone_from_then_on() -> None:
    street, history = Street(6), History()
    history.note(START, *street.rows())
    street.count = 4
    assert history.note(START + 1, *street.rows())
    before, after = history.at(START), history.at(START + 1)
    assert before is not None
    assert after is not None
    assert (len(before.nodes), len(after.nodes)) == (6, 4)
    assert name(6) not in {each.b for each in after.links.values()}


def test_a_margin_that_stays_in_its_grade_is_no_news_and_a_clock_set_back_keeps_the_order() -> None:
    street, history = Street(3), History()
    nodes, links = street.rows()
    assert history.note(START, nodes, links)
    assert not history.note(START + 1, nodes, [each._replace(ba_db=each.ba_db + 0.4) for each in links])
    assert history.note(START - 99, nodes, [each._replace(ba_db=25.0) for each in links])
    assert history.moments() == sorted(history.moments())


def test_a_step_goes_over_a_socket_and_back() -> None:
    street, history = Street(3), History()
    history.note(START, *street.rows())
    street.count = 2
    history.note(START + 1, *street.rows())
    again = History()
    again.load(step_from_json(json.loads(json.dumps(each.to_json()))) for each in history.steps())
    assert again.steps() == history.steps()
    assert again.at(START + 1) == history.at(START + 1)


@pytest.mark.parametrize(
    "given", [{}, {"wall": 1.0, "nodes": {"a": ["up"]}, "links": []}, {"wall": "x", "nodes": {}, "links": []}]
)
def test_what_is_no_step_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no step of a map"):
        step_from_json(given)


def test_what_was_kept_is_there_after_a_restart_however_often_steps_were_joined(tmp_path: Path) -> None:
    street, truth = Street(5), []
    for life in range(4):
        with Journal(tmp_path / "j") as journal:
            kept = KeptHistory(journal, most=30)
            assert kept.steps() == truth
            for turn in range(50):
                street.states[1 + turn % 5] = "down" if turn % 3 else "up"
                kept.look(START + 60.0 * (50 * life + turn), street.topology)
            truth = kept.steps()
            assert len(truth) == 30
            assert len(journal.get_all("map ")) == 30
    last = kept.at(START + 60.0 * 200)
    assert last is not None
    assert {each: node.state for each, node in last.nodes.items()} == {name(n): s for n, s in street.states.items()}


def test_a_topology_is_asked_once_a_minute_at_most_and_when_it_must() -> None:
    street, kept = Street(3), KeptHistory(Journal())
    for second in range(150):
        kept.look(START + second, street.topology)
    assert street.asked == 3
    kept.look(START - 5000.0, street.topology)
    assert street.asked == 4, "a clock that was set back does not stop it"
    kept.look(START - 4999.0, street.topology, at_once=True)
    assert street.asked == 5


def test_a_journal_that_cannot_be_written_or_read_costs_steps_and_nothing_else() -> None:
    street, journal = Street(3), Journal()
    kept = KeptHistory(journal)
    kept.look(START, street.topology)
    journal.put("map 000000000", {"wall": "spoilt"})
    assert KeptHistory(journal).steps() == []
    journal.close()
    street.states[1] = "down"
    kept.look(START + 60.0, street.topology)
    assert len(kept.steps()) == 2
