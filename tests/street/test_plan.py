"""The file of a street: what it says, and what is said of a wrong one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from osgp.sim.grid_generators import new_grid
from osgp.sim.grid_text import write_grid
from osgp.street.plan import FAULTS, Fault, default_text, load_plan, parse_plan
from osgp.wire.errors import ConfigError

SMALL = '[grid]\nkind = "rural"\nhouses = 5\n'


def test_the_default_street_has_every_kind_of_device() -> None:
    plan = parse_plan(default_text())
    kinds = Counter(house.kind for house in plan.houses)
    assert kinds.total() == 60
    assert set(kinds) == {"1ph", "3ph", "load", "inverter", "gateway"}
    assert plan.concentrator == "DC"
    assert plan.hours == 24


def test_houses_that_nobody_names_have_the_meter_of_their_connection() -> None:
    plan = parse_plan(SMALL)
    phases = {node.name: node.phase for node in plan.grid.nodes}
    assert [house.kind for house in plan.houses] == [
        "3ph" if phases[house.node] == "L123" else "1ph" for house in plan.houses
    ]


def test_a_grid_file_is_looked_for_beside_the_street(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(write_grid(new_grid("rural", houses=4, seed=2)))
    (tmp_path / "street.toml").write_text('[grid]\nfile = "grid.toml"\nconcentrator = "2"\n')
    plan = load_plan(tmp_path / "street.toml")
    assert [house.node for house in plan.houses] == ["DC", "1", "3", "4"], "what was the concentrator is a house now"
    assert [node.name for node in plan.grid.nodes if node.device == "concentrator"] == ["2"]


def test_wishes_and_faults_are_taken_as_they_are_written() -> None:
    plan = parse_plan(
        SMALL + '[concentrator.plan]\nprofile_s = 3600\n[[fault]]\nkind = "noise"\nat_h = 2\nminutes = 60\ndb = 12.5\n'
    )
    assert plan.config.plan.profile_s == 3600
    assert plan.faults == (Fault("noise", 2.0, 60.0, db=12.5),)
    assert plan.faults[0].end_s == 3 * 3600.0
    assert Fault("dead").end_s is None
    assert Fault("kill").end_s == Fault("kill").begin_s


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        (SMALL + "[devices]\nload = ['99']\n", "s.toml:5: no house with a device is called '99'", "grid show"),
        (SMALL + "[devices]\nlaod = ['1']\n", "s.toml:5: there is no kind of device 'laod'", "kinds"),
        (SMALL + "[devices]\nload = ['1']\ninverter = ['1']\n", "s.toml:6: house '1' is load already", "one device"),
        (SMALL + "[devices]\nload = '1'\n", "s.toml:5: load is a list", "load = "),
        (SMALL + '[[fault]]\nkind = "flood"\n', "s.toml:5: no fault is called 'flood'", "dead"),
        (SMALL + '[[fault]]\nkind = "cut"\n', "s.toml:5: the fault 'cut' needs a target", "branch"),
        (SMALL + '[[fault]]\nkind = "cut"\ntarget = "F9.9"\n', "s.toml:6: no branch is called 'F9.9'", "grid show"),
        (SMALL + '[[fault]]\nkind = "dead"\nat_h = -1\n', "s.toml:6: at_h cannot be -1", "from 0"),
        (SMALL + "[concentrator.plan]\nscan_s = 0\n", "scan_s of the plan must be above zero", ""),
        (SMALL + "[concentrator]\nplans = 1\n", "no plans", "known"),
        ('[grid]\nkind = "urban"\n', "s.toml:2: ", ""),
        ('[grid]\nfile = "nowhere.toml"\n', "s.toml:2: ", "osgp grid new"),
        ('[grid]\nconcentrator = "X"\n', "s.toml:2: the grid has no node 'X'", "grid show"),
        ('[street]\nstart = "soon"\n', "s.toml:2: 'soon' is no moment", "2025"),
        ("[street]\nhours = 0\n", "s.toml:2: hours cannot be 0", ""),
        ("[street]\nspeed = 3\n", "s.toml:2: street has no setting 'speed'", "did you mean seed"),
        ("[strete]\n", "s.toml:1: nothing here is called 'strete'", "street"),
        ("street = ", "s.toml:1: ", "key = value"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_hint(text: str, where: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_plan(text, "s.toml")
    assert where in caught.value.message
    assert hint in caught.value.hint


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_plan(tmp_path / "nothing.toml")


def test_every_fault_has_words() -> None:
    assert all(len(words) > 20 for words in FAULTS.values())


def test_the_file_in_the_guide_is_a_street() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "street.md").read_text("utf-8")
    text = page.split("```text\n", 1)[1].split("```", 1)[0]
    plan = parse_plan(text)
    assert plan.name == "Elm Street"
    assert [fault.kind for fault in plan.faults] == ["cut"]
    assert all(f"`{kind}`" in page for kind in FAULTS), "every fault is explained"
