"""Ways through a street: costs, eight legs, backups, when a way is changed, crowded repeaters, carriers, one-sided links."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from osgp.concentrator.link_metric import FAILURE_S, UNUSABLE, grade, link_cost
from osgp.concentrator.routes import MAX_LEGS, MOST_BEHIND, ROOT, FixedWays, Graph, Path, Step, Ways, key_of, links_of

A, B, C, D, E = (bytes([n]) * 6 for n in range(1, 6))


def graph_of(*links: tuple[bytes, bytes, float], repeaters: tuple[bytes, ...] = (A, B, C, D, E)) -> Graph:
    graph = Graph()
    graph.set_repeaters(repeaters)
    for a, b, margin in links:
        join(graph, a, b, margin)
    return graph


def join(
    graph: Graph,
    a: bytes,
    b: bytes,
    margin: float,
    *,
    back: float | None = None,
    alternate: bool = False,
    proven: bool = True,
) -> None:
    graph.hear(b, a, margin, 0.0, alternate=alternate, proven=proven)
    graph.hear(a, b, margin if back is None else back, 0.0, alternate=alternate, proven=proven)


def ways_to(graph: Graph, *nodes: bytes) -> Ways:
    ways = Ways(graph)
    for node in nodes:
        ways.add(node)
    return ways


def nodes_of(path: Path | None) -> list[bytes]:
    assert path is not None
    return [step.node for step in path]


# ---- the metric -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("margin", "cost"),
    [(39, 1), (18, 1), (17.9, 2), (12, 2), (11.9, 4), (9, 4), (8.9, 8), (6, 8), (5.9, UNUSABLE), (-6, UNUSABLE)],
)
def test_costs_of_links_are_those_of_the_digest(margin: float, cost: float) -> None:
    assert link_cost(margin) == cost


def test_grades_are_those_of_a_meter_s_own_table() -> None:
    assert [grade(each) for each in (None, 0, 9, 12, 15, 18, 39)] == [1, 2, 2, 3, 3, 4, 4]


def test_a_link_is_as_good_as_its_worse_direction() -> None:
    graph = graph_of()
    join(graph, ROOT, A, 30, back=9)
    assert graph.search()[A].cost == 4 + 1
    join(graph, ROOT, A, 30, back=5)
    assert A not in graph.search()


def test_a_link_that_is_known_one_way_is_no_link_but_is_told() -> None:
    graph = graph_of((ROOT, A, 20))
    graph.hear(B, A, 30, 0.0, proven=True)
    assert B not in graph.search()
    assert graph.one_sided(B) == [Step(A)]
    graph.hear(A, B, 30, 0.0, proven=True)
    assert nodes_of(graph.search()[B].path) == [A, B]


def test_two_good_links_beat_one_poor_one() -> None:
    graph = graph_of((ROOT, B, 7), (ROOT, A, 20), (A, B, 20))
    found = graph.search()[B]
    assert (found.cost, nodes_of(found.path)) == (4, [A, B])


def test_the_alternate_carrier_is_a_link_of_its_own() -> None:
    graph = graph_of((ROOT, A, 7))
    join(graph, ROOT, A, 20, alternate=True)
    assert graph.search()[A].path == (Step(A, True),)
    ways = ways_to(graph, A)
    assert ways.path(A, 0, 0.0) == (Step(A, True),)
    assert ways.path(A, 1, 0.0) == (Step(A, False),), "the backup is the other carrier"


# ---- searching ------------------------------------------------------------------------------------------------------
def brute_force(graph: Graph, target: bytes, nodes: list[bytes]) -> float:
    """Every simple way of at most eight legs over primary links."""
    best = UNUSABLE
    for length in range(min(len(nodes), MAX_LEGS)):
        for between in itertools.permutations([node for node in nodes if node != target], length):
            best = min(best, graph.cost_of(tuple(Step(node) for node in (*between, target))))
    return best


@pytest.mark.parametrize("seed", range(20))
def test_the_search_finds_what_trying_everything_finds(seed: int) -> None:
    random = Random(seed)
    nodes = [bytes([n]) * 6 for n in range(1, 7)]
    graph = Graph()
    graph.set_repeaters(node for node in nodes if random.random() < 0.8)
    for a, b in itertools.combinations([ROOT, *nodes], 2):
        if random.random() < 0.5:
            join(graph, a, b, random.choice([4, 7, 10, 13, 25]), back=random.choice([4, 7, 10, 13, 25, 25]))
    found = graph.search()
    for node in nodes:
        cost = found[node].cost if node in found else UNUSABLE
        assert cost == brute_force(graph, node, nodes)
        if node in found:
            assert graph.cost_of(found[node].path) == cost


def line(count: int, margin: float = 20) -> tuple[Graph, list[bytes]]:
    nodes = [bytes([n]) * 6 for n in range(1, count + 1)]
    graph = Graph()
    graph.set_repeaters(nodes)
    for a, b in itertools.pairwise([ROOT, *nodes]):
        join(graph, a, b, margin)
    return graph, nodes


def test_a_way_has_at_most_eight_legs() -> None:
    graph, nodes = line(9)
    found = graph.search()
    assert len(found[nodes[7]].path) == MAX_LEGS
    assert nodes[8] not in found


def test_a_dearer_way_with_fewer_legs_is_taken_where_eight_do_not_suffice() -> None:
    graph, nodes = line(9)
    join(graph, nodes[0], nodes[2], 7)
    found = graph.search()
    assert len(found[nodes[7]].path) == MAX_LEGS, "cheap links all the way"
    assert nodes_of(found[nodes[8]].path) == [nodes[0], *nodes[2:]]


def test_only_repeaters_pass_messages_on() -> None:
    graph = graph_of((ROOT, A, 20), (A, B, 20), repeaters=())
    assert B not in graph.search()
    graph.set_repeaters([A])
    assert B in graph.search()


def test_what_nobody_has_proven_is_only_the_last_leg_to_who_has_no_other() -> None:
    graph = graph_of((ROOT, A, 20))
    join(graph, A, B, 30, proven=False)
    join(graph, B, C, 30)
    assert nodes_of(graph.search()[B].path) == [A, B]
    assert C not in graph.search(), "nothing goes through it"
    join(graph, ROOT, B, 7)
    assert graph.search()[B].path == (Step(B),), "a poor link that is proven counts more"
    graph.prove((Step(A), Step(B)), 1.0)
    assert nodes_of(graph.search()[B].path) == [A, B]
    join(graph, A, B, 5, proven=False)
    assert nodes_of(graph.search()[B].path) == [A, B], "an unproven measurement changes nothing that is proven"


def test_a_search_may_count_what_nobody_has_proven_and_only_links_that_are_good() -> None:
    graph = graph_of((ROOT, A, 20), (ROOT, B, 7), (B, D, 20))
    join(graph, A, B, 13, proven=False)
    assert nodes_of(graph.search()[D].path) == [B, D]
    assert nodes_of(graph.search(unproven=True)[D].path) == [A, B, D]
    assert D not in graph.search(dearest=2.0)
    assert nodes_of(graph.search(unproven=True, dearest=2.0)[D].path) == [A, B, D]
    path = (Step(A), Step(B))
    assert (graph.dearest_of(path), graph.is_proven(path)) == (2.0, False)
    graph.prove(path, 1.0)
    assert graph.is_proven(path)
    assert (graph.dearest_of((Step(E),)), graph.is_proven((Step(E),))) == (UNUSABLE, False)


def test_a_way_that_works_though_its_links_were_forgotten_is_known_again() -> None:
    graph = graph_of()
    ways = Ways(graph)
    ways.add(B, (Step(A), Step(B)))
    assert B not in graph.search()
    path = ways.path(B, 0, 0.0)
    assert path is not None
    graph.prove(path, 1.0)
    assert graph.search()[B].cost == 4 + 1 + 4 + 1


# ---- changing -------------------------------------------------------------------------------------------------------
def test_a_way_is_kept_until_another_is_a_quarter_cheaper() -> None:
    graph = graph_of((ROOT, A, 13), (A, B, 13))
    ways = ways_to(graph, B)
    assert nodes_of(ways.path(B, 0, 0.0)) == [A, B]
    join(graph, ROOT, C, 13)
    join(graph, C, B, 20)
    assert graph.search()[B].cost == 5
    assert nodes_of(ways.path(B, 0, 1.0)) == [A, B], "5 is not a quarter less than 6"
    join(graph, ROOT, C, 20)
    assert nodes_of(ways.path(B, 0, 2.0)) == [C, B]


def test_one_failure_blames_one_link_for_an_hour() -> None:
    graph = graph_of((ROOT, A, 20), (A, B, 20))
    ways = ways_to(graph, B)
    path = ways.path(B, 0, 0.0)
    assert path is not None
    ways.failed(B, path, 1, 10.0)
    assert graph.cost_of(path) == 2 + 2 + 8
    assert graph.search()[A].cost == 2, "the other link is not blamed"
    ways.path(B, 0, 10.0 + FAILURE_S)
    assert graph.cost_of(path) == 4


def test_a_link_that_fails_again_after_it_was_forgiven_is_blamed_for_twice_as_long_until_it_carries_an_answer() -> None:
    graph = graph_of((ROOT, A, 20))
    link, path, now = key_of(ROOT, A, False), (Step(A),), 0.0
    for hours in (1, 2, 4, 8, 8):
        graph.blame(link, now)
        graph.blame(link, now + 60.0)
        end = now + 60.0 + hours * FAILURE_S
        graph.settle(end - 1.0)
        assert graph.is_blamed(link)
        graph.settle(end)
        assert not graph.is_blamed(link)
        now = end + 1.0
    graph.prove(path, now)
    graph.blame(link, now)
    graph.settle(now + 2 * FAILURE_S)
    assert not graph.is_blamed(link)
    graph.settle(now + 2 * FAILURE_S + 86400.0)
    graph.blame(link, now)
    assert graph.cost_of(path) == 2 + 8


def test_after_a_failure_a_much_cheaper_way_is_taken_at_once() -> None:
    graph = graph_of((ROOT, A, 20), (A, C, 20), (ROOT, B, 13), (B, C, 13))
    ways = ways_to(graph, C)
    path = ways.path(C, 0, 0.0)
    assert nodes_of(path) == [A, C]
    assert path is not None
    ways.failed(C, path, 1, 1.0)
    assert nodes_of(ways.path(C, 0, 1.0)) == [B, C]


def test_after_three_failures_in_a_row_the_backup_is_taken_though_it_costs_more() -> None:
    graph = graph_of((ROOT, A, 20), (A, C, 20), (ROOT, B, 7), (B, C, 7))
    ways = ways_to(graph, C)
    path = ways.path(C, 0, 0.0)
    assert path is not None
    assert nodes_of(path) == [A, C]
    for failure in range(2):
        ways.failed(C, path, -1, float(failure))
    ways.answered(C, path, 2.0)
    for failure in range(2):
        ways.failed(C, path, -1, 3.0 + failure)
        assert nodes_of(ways.path(C, 0, 3.0 + failure)) == [A, C]
    ways.failed(C, path, -1, 5.0)
    assert nodes_of(ways.path(C, 0, 5.0)) == [B, C]
    assert ways.way(C, 5.0).changes == 1  # type: ignore[union-attr]  # it is there


def test_a_failure_of_a_way_that_is_not_in_use_is_not_counted() -> None:
    graph = graph_of((ROOT, A, 20), (A, C, 20), (ROOT, B, 20), (B, C, 20))
    ways = ways_to(graph, C)
    first, second = ways.path(C, 0, 0.0), ways.path(C, 1, 0.0)
    assert first is not None
    assert second is not None
    for _ in range(5):
        ways.failed(C, second, -1, 0.0)
    assert ways.path(C, 0, 0.0) == first


def test_ways_that_can_be_used_are_looked_at_again_only_now_and_then() -> None:
    graph = graph_of((ROOT, A, 13), (A, B, 13), (ROOT, C, 20))
    ways = Ways(graph, settle_s=10.0)
    ways.add(B)
    assert nodes_of(ways.path(B, 0, 0.0)) == [A, B]
    join(graph, C, B, 20)
    assert nodes_of(ways.path(B, 0, 9.0)) == [A, B]
    assert nodes_of(ways.path(B, 0, 10.0)) == [C, B]
    graph.set_repeaters([A])
    assert nodes_of(ways.path(B, 0, 11.0)) == [A, B], "what is gone is not waited for"


def test_a_way_that_worked_while_the_one_in_use_did_not_is_adopted() -> None:
    graph = graph_of((ROOT, A, 20), (A, C, 20), (ROOT, B, 13), (B, C, 13))
    ways = ways_to(graph, C)
    assert nodes_of(ways.path(C, 0, 0.0)) == [A, C]
    ways.adopt(C, (Step(B), Step(C)), 1.0)
    assert nodes_of(ways.known(C)) == [B, C]
    ways.adopt(D, (Step(D),), 1.0)
    assert ways.known(D) is None, "nobody wants to reach it"


def test_a_dead_repeater_is_gone_around() -> None:
    graph = graph_of((ROOT, A, 20), (A, C, 20), (ROOT, B, 7), (B, C, 7))
    ways = ways_to(graph, A, B, C)
    assert nodes_of(ways.path(C, 0, 0.0)) == [A, C]
    graph.set_repeaters([B, C])
    assert nodes_of(ways.path(C, 0, 0.0)) == [B, C]


def test_a_way_that_is_gone_is_kept_while_there_is_no_other() -> None:
    graph = graph_of((ROOT, A, 20), (A, B, 20))
    ways = ways_to(graph, B)
    path = ways.path(B, 0, 0.0)
    graph.set_repeaters([])
    assert ways.path(B, 0, 1.0) == path


# ---- backups --------------------------------------------------------------------------------------------------------
def test_a_backup_shares_no_node_and_no_link() -> None:
    graph = graph_of((ROOT, A, 20), (ROOT, B, 20), (A, B, 20), (A, C, 20), (B, D, 20), (C, E, 20), (D, E, 9))
    ways = ways_to(graph, E)
    first, second = ways.path(E, 0, 0.0), ways.path(E, 1, 0.0)
    assert first is not None
    assert second is not None
    assert nodes_of(first) == [A, C, E]
    assert nodes_of(second) == [B, D, E]
    assert not set(links_of(first)) & set(links_of(second))


def test_a_backup_shares_a_node_only_where_it_must() -> None:
    graph = graph_of((ROOT, A, 20), (A, B, 20), (A, C, 20), (B, D, 20), (C, D, 20))
    join(graph, ROOT, A, 20, alternate=True)
    ways = ways_to(graph, D)
    first, second = ways.path(D, 0, 0.0), ways.path(D, 1, 0.0)
    assert first is not None
    assert second is not None
    assert {nodes_of(first)[1], nodes_of(second)[1]} == {B, C}
    assert nodes_of(second)[0] == A
    assert second[0].alternate != first[0].alternate


def test_without_a_backup_the_way_in_use_is_tried_again() -> None:
    graph = graph_of((ROOT, A, 20))
    ways = ways_to(graph, A)
    assert ways.backup(A, 0.0) is None
    assert ways.path(A, 1, 0.0) == (Step(A),)


# ---- crowds ---------------------------------------------------------------------------------------------------------
def test_a_crowded_repeater_is_gone_around_if_that_is_not_much_farther() -> None:
    graph = graph_of((ROOT, A, 20), (ROOT, B, 13))
    many = [bytes([9, n, 0, 0, 0, 0]) for n in range(50)]
    for node in many:
        join(graph, A, node, 20)
        join(graph, B, node, 20)
    ways = ways_to(graph, *many)
    assert ways.path(many[0], 0, 0.0) is not None
    assert (ways.behind(A), ways.behind(B)) == (MOST_BEHIND, 50 - MOST_BEHIND)
    before = dict(ways.in_use())
    join(graph, C, D, 20)
    ways.path(many[0], 0, 1.0)
    assert dict(ways.in_use()) == before, "nobody is moved there and back"


def test_a_crowd_is_no_reason_to_be_unreachable() -> None:
    graph = graph_of((ROOT, A, 20))
    many = [bytes([9, n, 0, 0, 0, 0]) for n in range(50)]
    for node in many:
        join(graph, A, node, 20)
    ways = ways_to(graph, *many)
    ways.path(many[0], 0, 0.0)
    assert ways.behind(A) == 50


# ---- bounds ---------------------------------------------------------------------------------------------------------
def test_what_a_node_claims_to_hear_stays_bounded() -> None:
    graph = graph_of()
    for n in range(1000):
        graph.hear(A, n.to_bytes(6, "big"), 20, float(n), proven=False)
    assert len(graph.halves()) == 256


def test_what_carries_nothing_is_forgotten_before_what_carries_something() -> None:
    graph = graph_of()
    graph.hear(ROOT, A, 20.0, 0.0, proven=True)
    for n in range(1000):
        graph.hear(ROOT, n.to_bytes(6, "big"), 3.0, float(n), proven=False)
    assert graph.half(ROOT, A) is not None


def test_a_forgotten_node_leaves_nothing_behind() -> None:
    graph = graph_of((ROOT, A, 20), (A, B, 20))
    graph.forget(A)
    assert graph.halves() == []
    assert graph.search() == {}


def test_a_link_has_one_name() -> None:
    assert key_of(A, B, True) == key_of(B, A, True) != key_of(A, B, False)


def test_written_ways_never_change() -> None:
    ways = FixedWays({A: (Step(A),)}, {A: (Step(B), Step(A))})
    ways.failed(A, (Step(A),), 0, 0.0)
    assert ways.path(A, 0, 0.0) == (Step(A),)
    assert ways.path(A, 1, 0.0) == ways.backup(A, 0.0) == (Step(B), Step(A))
    assert ways.path(B, 0, 0.0) is None


def test_what_is_only_claimed_pushes_out_nothing_that_was_proven() -> None:
    """Forged answers in the names of hundreds of devices are no reason to forget a neighbour."""
    graph = Graph()
    graph.hear(A, ROOT, 20.0, 0.0, proven=True)
    graph.hear(A, B, 20.0, 0.0, proven=True)
    for number in range(1000):
        graph.hear(A, number.to_bytes(6, "big"), 39.0, 1.0 + number, proven=False)
    assert graph.half(A, ROOT) is not None
    assert graph.half(A, B) is not None
    assert len(graph.halves()) == 256
