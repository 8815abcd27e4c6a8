"""A cold start: the line is for finding and reading at first, and how near that comes to the exchanges that it must take."""

from __future__ import annotations

from osgp.bench.frame import Bench
from osgp.bench.street_cold import cold_rows
from osgp.concentrator.cold_start import LINE_SHARE
from osgp.street.cold_start import cold_start
from osgp.street.run import StreetRun
from osgp.street.summary import summary
from tests.street.small import small_plan


def test_a_cold_start_takes_at_most_twice_its_exchanges_and_then_the_line_is_for_everybody() -> None:
    run = StreetRun(small_plan(8, hours=2.0))
    run.run_to(60.0)
    share = run.concentrator.config.airtime_share
    assert run.concentrator.account.share == LINE_SHARE > share
    while run.observed.first_billing_s is None and run.wire.now < 3600.0:
        run.run_to(run.wire.now + 20.0)
    found = cold_start(run)
    assert found.ratio is not None
    assert 0.8 < found.ratio <= 2.0
    assert 0 < found.commissioning_s < found.bound_s / 2
    run.run_to(run.wire.now + 600.0)
    assert run.concentrator.account.share == share
    assert run.care.discovery.budget.share == run.care.discovery.policy.share
    run.settle()
    assert summary(run)["cold_start"]["took_s"] == found.took_s


def test_after_a_restart_of_a_street_that_was_read_the_line_is_shared_at_once() -> None:
    run = StreetRun(small_plan(3, hours=2.0))
    run.run_to(1800.0)
    run.kill_concentrator()
    run.start_concentrator()
    run.run_to(run.wire.now + 300.0)
    assert run.up() == 3
    assert not run.care.cold_start.is_on


def test_the_row_of_the_bench_is_whole() -> None:
    (row,) = cold_rows(Bench("street", quick=True))
    assert row.verdict == "ok"
    assert row.ratio is not None
    assert row.ratio >= 0.5
