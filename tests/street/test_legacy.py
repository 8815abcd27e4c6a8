"""A street with old meters: read by the broken suite beside the others, shut off by themselves when somebody forges."""

from __future__ import annotations

import dataclasses

import pytest

from osgp.cli.street import show
from osgp.concentrator.topology import NodeState
from osgp.street.plan import Fault, default_text, parse_plan
from osgp.street.run import StreetRun
from osgp.street.summary import summary
from osgp.wire.errors import ConfigError
from tests.street.small import small_plan


def test_old_meters_are_read_exactly_once_like_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    plan = small_plan(6, hours=1.5)
    old = plan.houses[1].node, plan.houses[4].node
    run = StreetRun(dataclasses.replace(plan, legacy=old, legacy_encrypt=True))
    run.run()
    assert run.truth().exact
    assert run.up() == 6
    assert {run.names[node.unique_node_id] for node in run.topology.nodes.values() if node.legacy} == set(old)
    assert all(run.by_name[house].node.security.address is None for house in old)
    assert len(run.journal.notices(kind="legacy")) == 2
    show(summary(run), 0.0)
    assert f"can forge: {', '.join(old)}" in " ".join(capsys.readouterr().out.split())


def test_where_somebody_forges_an_old_meter_shuts_itself_off_and_nobody_else_suffers() -> None:
    plan = small_plan(4, hours=2.0)
    old, attacker = plan.houses[0].node, plan.houses[1].node
    plan = plan.with_faults(Fault("attack", at_h=0.6, minutes=80, target=attacker))
    run = StreetRun(dataclasses.replace(plan, legacy=(old,)))
    run.run()
    truth = run.truth()
    assert truth.exact, "of all that can be expected"
    assert {each.house: each.gone for each in truth.houses if each.gone} == {old: "quarantine"}
    assert run.by_name[old].node.refused["quarantine"] > 0
    states = {run.names[node.unique_node_id]: node.state for node in run.topology.nodes.values()}
    assert all(state is NodeState.UP for house, state in states.items() if house != old)


def test_old_meters_are_written_down_by_house() -> None:
    text = default_text(8, hours=1.0)
    house = parse_plan(text).houses[3].node
    plan = parse_plan(f'{text}\n[legacy]\nhouses = ["{house}"]\nwrites = true\n')
    assert (plan.legacy, plan.legacy_writes, plan.legacy_encrypt) == ((house,), True, False)
    for more, said in (('houses = ["nobody"]', "no house"), ("houses = 7", "houses"), ("house = []", "no setting")):
        with pytest.raises(ConfigError, match=said):
            parse_plan(f"{text}\n[legacy]\n{more}\n")
