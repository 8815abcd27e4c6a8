"""Low-voltage grids: losses that add up, noise at the end of its way, branches that go off, files that are right or refused."""

from __future__ import annotations

import dataclasses
import json
import math
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from osgp.cli.app import run
from osgp.sim.grid import READABLE_DB, Grid, LinkState
from osgp.sim.grid_description import LOADS, PROFILES, GridDescription, GridSettings, Node, NoiseSource
from osgp.sim.grid_generators import GENERATORS, new_grid
from osgp.sim.grid_noise import level_db
from osgp.sim.grid_picture import draw, save_picture, svg
from osgp.sim.grid_report import report
from osgp.sim.grid_text import load_description, parse_grid, write_grid
from osgp.wire.errors import ConfigError

STREET = """\
[grid]
name = "street"
shadowing_db = 0
background_dbuv = 40

[[branch]]
name = "F1"
start = "transformer"
end = "J1"
length_m = 100

[[branch]]
name = "F2"
start = "J1"
end = "J2"
length_m = 200

[[branch]]
name = "S1"
start = "J1"
end = "J3"
length_m = 50

[[node]]
name = "DC"
at = "transformer"
phase = "L123"
length_m = 0
device = "concentrator"

[[node]]
name = "1"
at = "J1"
length_m = 0

[[node]]
name = "2"
at = "J2"
length_m = 10
phase = "L2"
unique_node_id = "0400AABBCC01"

[[node]]
name = "3"
at = "J3"
length_m = 0
"""
EVENING = 20 * 3600.0


def street(more: str = "") -> Grid:
    return Grid.parse(STREET + more)


# ---- losses ---------------------------------------------------------------------------------------------------------
def test_a_way_loses_by_coupling_cable_branches_houses_and_phase() -> None:
    grid = street()
    # coupling 3, cable 5 dB/km, J1 with a house (0.5) and the street to J3 (3), service 10 dB/km, another phase 15
    from_1_to_2 = 3 + 5 * 0.2 + 3 + 3 + 10 * 0.01 + 15
    assert grid.link("1", "2", 0, EVENING).gain_db == pytest.approx(-from_1_to_2)
    assert grid.link("DC", "1", 0, EVENING).gain_db == pytest.approx(-(3 + 5 * 0.1 + 3 + 3))
    assert grid.link("DC", "3", 1, EVENING).gain_db == pytest.approx(-(3 + 5 * 0.15 + 3 + 0.5))
    assert grid.between("DC", "2") == ["DC", "F1", "F2", "2"]
    assert grid.between("3", "2") == ["3", "S1", "F2", "2"]
    assert grid.distance_m("DC", "2") == 310.0
    assert grid.link("1", "1", 0, EVENING).gain_db == -math.inf


def test_a_load_damps_its_own_house_and_those_who_pass() -> None:
    plain = street()
    loaded = Grid.parse(STREET.replace('at = "J1"\nlength_m = 0', 'at = "J1"\nlength_m = 0\nloads = ["ev_charger"]'))
    damping = LOADS["ev_charger"].damping_db
    for a, b in (("DC", "1"), ("DC", "2"), ("3", "2")):
        before, after = plain.link(a, b, 0, EVENING), loaded.link(a, b, 0, EVENING)
        assert before.gain_db - after.gain_db == pytest.approx(damping)


def test_every_loss_is_the_sum_along_its_way() -> None:
    """The matrix, made row by row, against the plain walk from node to node."""
    grid = Grid(new_grid("suburban", houses=40, seed=5))
    description = grid.description
    joined: dict[str, list[tuple[str, float]]] = {point: [] for point in description.points}
    ends = {branch.name: (branch.start, branch.end) for branch in description.branches}
    onward = set(ends)  # every branch of these grids leads on to a node
    for branch in onward:
        for end in ends[branch]:
            joined[end].append((branch, 3.0))
    for node in description.nodes:
        joined[node.at].append((node.name, 0.5 + sum(LOADS[load].damping_db for load in node.loads)))
    length = {branch.name: branch.length_m * 5 / 1000 for branch in description.branches}
    for node in description.nodes:
        length[node.name] = node.length_m * 10 / 1000 + sum(LOADS[load].damping_db for load in node.loads)
    at = {node.name: (node.at, node.name) for node in description.nodes}
    loss = grid.ways.loss_db
    offset = len(description.points)
    for a in range(0, 41, 4):
        for b in range(1, 41, 5):
            way = grid.between(a, b)
            assert way is not None
            wanted = sum(length[name] for name in way)
            for one, other in pairwise(way):
                (point,) = set(ends.get(one, at.get(one, ()))) & set(ends.get(other, at.get(other, ())))
                wanted += sum(damping for name, damping in joined[point] if name not in (one, other))
            if a != b:
                assert loss[offset + a, offset + b] == pytest.approx(wanted)


def test_shadowing_is_the_same_both_ways_and_alike_on_both_carriers() -> None:
    grid = Grid(new_grid("city", houses=120, seed=1))
    bare = Grid(
        dataclasses.replace(grid.description, settings=dataclasses.replace(grid.description.settings, shadowing_db=0.0))
    )
    gain, plain = grid.links().gain_db, bare.links().gain_db
    upper = np.triu_indices(121, 1)
    drawn = np.array([plain[c][upper] - gain[c][upper] for c in (0, 1)])
    assert (gain[0] == gain[0].T).all()
    assert drawn.std(axis=1) == pytest.approx([6.0, 6.0], abs=0.2)
    assert np.corrcoef(drawn)[0, 1] == pytest.approx(0.75, abs=0.03)


# ---- noise ----------------------------------------------------------------------------------------------------------
LOUD = '\n[[noise]]\nname = "saw"\nat = "3"\nkind = "dimmer"\nlevel_dbuv = 90\nphase = "L1"\n'


def test_noise_reaches_each_receiver_by_its_way() -> None:
    quiet, grid = street(), street(LOUD)
    assert quiet.link("DC", "3", 0, EVENING).noise_dbuv == pytest.approx(40.0, abs=0.01)
    assert grid.link("DC", "3", 0, EVENING).noise_dbuv == pytest.approx(90.0, abs=0.01)
    loss = 5 * 0.05 + 3 + 3  # from house 3 to house 1: cable, and what else is joined to J1
    assert grid.link("DC", "1", 0, EVENING).noise_dbuv == pytest.approx(90 - loss, abs=0.01)
    across = 5 * 0.25 + 3 + 0.5 + 0.1 + 15
    assert grid.link("DC", "2", 0, EVENING).noise_dbuv == pytest.approx(90 - across, abs=0.01)
    assert grid.link("DC", "3", 0, EVENING).scenario == "D"


def test_links_are_as_asymmetric_as_the_noise_at_their_ends() -> None:
    grid = street(LOUD)
    there, back = grid.link("DC", "3", 0, EVENING), grid.link("3", "DC", 0, EVENING)
    assert there.gain_db == back.gain_db
    assert back.ec_n0_db - there.ec_n0_db == pytest.approx(there.noise_dbuv - back.noise_dbuv)
    assert back.ec_n0_db - there.ec_n0_db > 3
    links = Grid(new_grid("suburban", houses=60, seed=2)).links()
    upper = np.triu_indices(61, 1)
    apart = np.abs(links.sinr_db[0][upper] - links.sinr_db[0].T[upper])
    assert np.median(apart) > 1.0


def test_a_tone_disturbs_the_carrier_that_it_is_on() -> None:
    tone = '\n[[noise]]\nname = "hum"\nat = "1"\nkind = "tone"\nlevel_dbuv = 80\nfrequency_hz = 86300\nphase = "L1"\n'
    grid = street(tone)
    primary, secondary = grid.link("DC", "1", 0, EVENING), grid.link("DC", "1", 1, EVENING)
    assert primary.scenario == "T"
    assert primary.noise_dbuv == pytest.approx(40.0, abs=0.1)
    assert primary.interference_dbuv == pytest.approx(80.0, abs=0.1)
    assert primary.ec_n0_db - primary.sinr_db == pytest.approx(40.0, abs=0.2)
    assert secondary.sinr_db > primary.sinr_db + 30
    assert LinkState(-40.0, 50.0, 30.0, "Q").sinr_db == 30.0


def test_noise_follows_the_local_time_of_day() -> None:
    day = '\n[[noise]]\nname = "shop"\nat = "J3"\nkind = "appliances"\nlevel_dbuv = 90\nprofile = "day"\n'
    grid = Grid.parse(STREET.replace("[grid]", "[grid]\nutc_offset_h = 2") + day)
    noon, night = (grid.link("DC", "3", 0, hour * 3600.0).noise_dbuv for hour in (7.2, 0.5))
    assert noon - night == pytest.approx(20.0, abs=1.0)
    assert grid.time_of_day_h(23.5 * 3600) == pytest.approx(1.5)
    links = grid.links(9.2)
    assert links.noise_dbuv[0, 3] == noon
    own = NoiseSource("x", "J1", hours_db=tuple(float(hour) for hour in range(24)))
    assert (level_db(own, 4.25), level_db(own, 23.5)) == (4.25, 11.5)
    assert all(len(hours) == 24 and max(hours) == 0 for hours in PROFILES.values())


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(sorted(GENERATORS)),
    seed=st.integers(0, 50),
    hour=st.floats(0, 23.99),
    carrier=st.integers(0, 1),
)
def test_one_link_is_the_entry_of_the_matrix(kind: str, seed: int, hour: float, carrier: int) -> None:
    grid = Grid(new_grid(kind, houses=9, seed=seed))
    links = grid.links(hour)
    for a, b in ((0, 5), (7, 2), (9, 0)):
        state = grid.link(a, b, carrier, hour * 3600)
        assert state.ec_n0_db == pytest.approx(links.ec_n0_db[carrier, a, b])
        assert state.sinr_db == pytest.approx(links.sinr_db[carrier, a, b])
        assert state.scenario == links.scenario[b]


# ---- branches that go off -------------------------------------------------------------------------------------------
def test_a_branch_that_is_cut_makes_an_island_and_comes_back() -> None:
    grid = street()
    before = grid.links()
    assert grid.islands() == [["DC", "1", "2", "3"]]
    grid.cut("F2")
    assert grid.version == 1
    assert grid.open_branches == ["F2"]
    assert grid.islands() == [["DC", "1", "3"], ["2"]]
    assert grid.between("DC", "2") is None
    assert grid.link("DC", "2", 0, EVENING).ec_n0_db == -math.inf
    assert grid.hops()[2] is None
    # who is left has one branch less that damps
    assert grid.link("DC", "1", 0, EVENING).gain_db > before.gain_db[0, 0, 1] + 2.9
    grid.cut("F2")
    assert grid.version == 1
    grid.restore("F2")
    assert (grid.links().gain_db == before.gain_db).all()
    grid.cut("2")
    assert grid.islands() == [["DC", "1", "3"], ["2"]]


def test_noise_does_not_cross_a_gap() -> None:
    grid = street(LOUD)
    grid.cut("S1")
    assert grid.link("DC", "1", 0, EVENING).noise_dbuv == pytest.approx(40.0, abs=0.01)
    assert grid.link("1", "3", 0, EVENING).noise_dbuv == pytest.approx(90.0, abs=0.01)


def test_a_ring_is_walked_by_the_lesser_loss_and_an_open_switch_opens_it() -> None:
    ring = '\n[[branch]]\nname = "R"\nstart = "J3"\nend = "J2"\nlength_m = 30\n'
    closed = street(ring)
    assert closed.between("3", "2") == ["3", "R", "2"]
    assert closed.between("DC", "2") == ["DC", "F1", "S1", "R", "2"]  # F2, 200 m, is left over
    opened = street(ring + "open = true\n")
    assert opened.between("3", "2") == ["3", "S1", "F2", "2"]
    assert opened.links().gain_db == pytest.approx(street().links().gain_db)
    opened.restore("R")
    opened.cut("F1")
    assert opened.islands() == [["DC"], ["1", "2", "3"]]


def test_hops_are_counted_over_links_that_are_readable_both_ways() -> None:
    grid = Grid(new_grid("rural", houses=60, seed=2))
    hops = grid.hops()
    best = grid.links().sinr_db.max(axis=0)
    readable = np.minimum(best, best.T) >= READABLE_DB
    assert hops[0] == 0
    assert max(hop or 0 for hop in hops) >= 2
    for place, hop in enumerate(hops[1:], 1):
        near = [hops[other] for other in np.flatnonzero(readable[place]).tolist()]
        known = [one for one in near if one is not None]
        assert hop == (min(known) + 1 if known else None)


def test_a_node_or_branch_that_is_not_there_is_refused() -> None:
    grid = street()
    for call in (
        lambda: grid.cut("F9"),
        lambda: grid.restore("J1"),
        lambda: grid.number("x"),
        lambda: grid.link(0, 4, 0, 0.0),
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        assert caught.value.hint


# ---- samples --------------------------------------------------------------------------------------------------------
def test_the_ears_of_a_node_hear_its_noise_and_its_phase() -> None:
    grid = street(LOUD)
    state = grid.link("DC", "2", 0, EVENING)
    ears = grid.channel("2", EVENING, np.random.default_rng(1))
    assert ears.noise_dbuv() == pytest.approx(state.noise_dbuv, abs=0.01)
    assert ears.scenario.name == state.scenario == "D"
    assert ears.clock.half_cycle_offset == pytest.approx(4 / 3)
    level = grid.way("DC", "2", 0).level_dbuv()
    assert level - ears.noise_dbuv() == pytest.approx(state.ec_n0_db, abs=0.01)
    tone = '\n[[noise]]\nname = "hum"\nat = "1"\nkind = "tone"\nlevel_dbuv = 80\nfrequency_hz = 86300\nphase = "L1"\n'
    toned = street(tone).channel("1", EVENING, np.random.default_rng(1))
    power = 20 * math.log10(toned.noise(0, 50_000).std() / 1e-6)
    assert power == pytest.approx(80.0, abs=0.3)
    assert street().channel("1", EVENING, np.random.default_rng(1)).scenario.tones is None


# ---- files ----------------------------------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(sorted(GENERATORS)), houses=st.integers(1, 90), seed=st.integers(0, 2**40))
def test_what_is_made_is_written_and_read_again(kind: str, houses: int, seed: int) -> None:
    made = new_grid(kind, houses=houses, seed=seed)
    assert parse_grid(write_grid(made, "a comment\nof two lines")) == made
    assert new_grid(kind, houses=houses, seed=seed) == made
    assert sum(node.device == "meter" for node in made.nodes) == houses
    assert len({node.unique_node_id for node in made.nodes}) == houses + 1
    (island,) = Grid(made).islands()
    assert len(island) == houses + 1


NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@given(
    name=NAMES,
    phase=st.sampled_from(["L1", "L2", "L3", "L123"]),
    length=st.floats(0, 5000),
    seed=st.integers(0, 2**63 - 1),
    loads=st.lists(st.sampled_from(sorted(LOADS)), max_size=3),
    hours=st.just([]) | st.lists(st.floats(-200, 60), min_size=24, max_size=24),
)
def test_any_description_survives_the_file(
    name: str, phase: str, length: float, seed: int, loads: list[str], hours: list[float]
) -> None:
    assume(name != "transformer")
    node = Node(name, "transformer", phase, length, loads=tuple(loads))
    noise = NoiseSource("n", "transformer", hours_db=tuple(hours))
    made = GridDescription(GridSettings(name, seed), nodes=(node,), noises=(noise,))
    assert parse_grid(write_grid(made)) == made


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("length_m = 100", "length_m = -1"), 10, "length_m"),
        (("length_m = 100", 'length_m = "long"'), 10, "length_m"),
        (('end = "J1"', 'end = "transformer"'), 9, "begins and ends"),
        (('name = "F2"', 'name = "F1"'), 13, "names a branch already"),
        (('name = "3"', 'name = "2"'), 44, "names a node already"),
        (('at = "J2"', 'at = "J9"'), 38, "J9"),
        (('phase = "L2"', 'phase = "L4"'), 40, "L4"),
        (('device = "concentrator"', 'device = "toaster"'), 29, "toaster"),
        (("0400AABBCC01", "0400AABBCC"), 41, "unique node ID"),
        (('end = "J3"', 'edn = "J3"'), 21, "edn"),
        (('end = "J3"\n', ""), 18, "needs end"),
        (('name = "3"', 'name = "J1"'), 44, "a node and a point"),
        (("[[node]]", "[[nod]]"), 24, "'nod'"),
        (("shadowing_db = 0", "shadowing_db = inf"), 3, "shadowing_db"),
        (("shadowing_db = 0", "shadowing_db = "), 3, ""),
        (("[grid]", "[[grid]]"), 1, "grid"),
        (('name = "1"', 'name = "1"\nloads = ["kettle"]'), 33, "kettle"),
        (('name = "1"', 'name = "1"\ncable = "rope"'), 33, "rope"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_hint(change: tuple[str, str], line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_grid(STREET.replace(*change), "street.toml")
    assert str(caught.value).startswith(f"street.toml:{line}: ")
    assert words in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "node = 3",
        "node = [1]",
        "[[noise]]\n" + STREET,
        STREET + '\n[[noise]]\nname = "a"\nat = "nowhere"\n',
        STREET + '\n[[noise]]\nname = "a"\nat = "1"\nhours_db = [1, 2]\n',
        STREET + '\n[[noise]]\nname = "a"\nat = "1"\n' * 2,
        STREET + '\n[[node]]\nname = "4"\nat = "J1"\nunique_node_id = "0400aabbcc01"\n',
        "\n".join(f'[[node]]\nname = "{n}"\nat = "transformer"' for n in range(2600)),
        "a = " + "[" * 3000,
    ],
)
def test_what_is_no_grid_is_refused(content: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_grid(content)
    assert str(caught.value).startswith("grid:")
    assert caught.value.hint


def test_a_file_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "street.toml").write_bytes(STREET.encode() + b"# B\xfchlstra\xdfe\n")
    with pytest.raises(ConfigError, match=f":{STREET.count(chr(10)) + 1}: byte FC is no text"):
        Grid.load(tmp_path / "street.toml")


LINES = STREET.splitlines(keepends=True)
VALUES = st.sampled_from(
    ["1", "-1", "1e400", "nan", "true", '"J1"', '"transformer"', "[]", "[[]]", "{}", "1979-05-27", '""', "[1, 2]",
     "99999999999999999999"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    drop=st.sets(st.integers(0, len(LINES) - 1), max_size=6),
    values=st.dictionaries(st.integers(0, len(LINES) - 1), VALUES, max_size=4),
    noise=st.text(max_size=12),
    place=st.integers(0, len(STREET)),
)
def test_a_damaged_file_never_crashes(drop: set[int], values: dict[int, str], noise: str, place: int) -> None:
    lines = [
        f"{line.split('=')[0]}= {values[n]}\n" if n in values and "=" in line else line
        for n, line in enumerate(LINES)
        if n not in drop
    ]
    for content in ("".join(lines), STREET[:place] + noise + STREET[place:]):
        refusal = None
        try:
            grid = Grid.parse(content)
        except ConfigError as error:
            refusal = error
        if refusal is None:
            assert len(report(grid).nodes) == len(grid.names)
            svg(draw(grid))
        else:
            assert str(refusal).startswith("grid:")
            assert refusal.hint


@given(content=st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")))
def test_no_text_crashes_the_reader(content: str) -> None:
    with pytest.raises(ConfigError):
        parse_grid(content)


def test_the_limits_of_generators_are_told() -> None:
    for kind, houses, seed in (("village", 5, 1), ("rural", 0, 1), ("rural", 1001, 1), ("rural", 5, -1)):
        with pytest.raises(ConfigError) as caught:
            new_grid(kind, houses=houses, seed=seed)
        assert caught.value.hint


# ---- pictures and commands --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", sorted(GENERATORS))
def test_a_picture_shows_every_node_and_overlaps_none(kind: str) -> None:
    grid = Grid(new_grid(kind, houses=70, seed=4))
    drawing = draw(grid)
    boxes = [(shape.x, shape.y, shape.width, shape.height) for shape in drawing.shapes if hasattr(shape, "height")]
    for place, (x, y, width, height) in enumerate(boxes):
        assert 0 < x - width / 2 < x + width / 2 < drawing.width
        assert 0 < y - height / 2 < y + height / 2 < drawing.height
        for other_x, other_y, other_width, other_height in boxes[:place]:
            apart = abs(x - other_x) >= (width + other_width) / 2 or abs(y - other_y) >= (height + other_height) / 2
            assert apart
    root = ElementTree.fromstring(svg(drawing))
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(grid.names) <= texts


def test_a_name_cannot_break_the_picture() -> None:
    grid = Grid.parse(STREET.replace('"1"', '"<a>&"').replace('name = "street"', 'name = "</svg>"'))
    root = ElementTree.fromstring(svg(draw(grid)))
    assert any(element.text == "<a>&" for element in root.iter())


def status(*arguments: str) -> int:
    try:
        run(["grid", *arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_new_show_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "a.toml")
    assert status("new", "rural", "--houses", "12", "--seed", "7", "-o", file) == 0
    assert load_description(file) == new_grid("rural", houses=12, seed=7)
    assert status("new", "rural", "--houses", "12", "--seed", "7") == 0
    assert capsys.readouterr().out == Path(file).read_text("utf-8")
    assert status("show", file, "--json", "--at", "3:15") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["nodes"]) == 13
    assert told["time_of_day_h"] == 3.25
    assert told["islands"] == [[row["name"] for row in told["nodes"]]]
    first = new_grid("rural", houses=12, seed=7).branches[0].name
    assert status("show", file, "--cut", first) == 0
    shown = capsys.readouterr().out
    assert f"switched off: {first}" in shown
    assert "island 2" in shown
    for name in ("a.svg", "a.png"):
        assert status("plot", file, "-o", str(tmp_path / name)) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "none.toml"),
        ("show", "street.toml", "--at", "25:00"),
        ("show", "street.toml", "--cut", "F9"),
        ("plot", "street.toml", "-o", "a.gif"),
        ("plot", "street.toml", "-o", "none/a.svg"),
        ("new", "village"),
        ("new", "rural", "-o", "none/a.toml"),
    ],
)
def test_wrong_use_is_told(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("street.toml").write_text(STREET)
    assert status(*arguments) == 2
    assert "hint: " in capsys.readouterr().err


def test_a_picture_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no picture"):
        save_picture(draw(street()), tmp_path / "a.txt")
