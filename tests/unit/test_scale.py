"""docs/scale.md contains what docs/scale.py computes, from the current template."""

import pytest

from docs import scale
from tests.support.template import PARAMETERS, RESOURCES, read


@pytest.mark.parametrize("table", scale.tables())
def test_the_page_contains_what_the_script_prints(table):
    assert table in read("docs/scale.md")


def test_the_limits_are_those_of_the_template():
    for name, rate in scale.THROTTLES.items():
        assert PARAMETERS[name]["Default"] == rate
    assert PARAMETERS["CacheMaximumEcpu"]["Default"] == scale.CACHE_UNITS
    most = RESOURCES["DatabaseParameters"]["Properties"]["Parameters"]
    assert 0.8 * int(most["max_connections"]) == scale.CONNECTIONS


def test_what_is_beyond_a_limit_comes_first():
    shares = [share for share, _ in scale.used(scale.GENERATE, 1_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(1_000 / 20)


def test_every_limit_is_reached_by_a_route():
    for limit in scale.LIMITS:
        assert any(limit.demand(route, 1_000) > 0 for route in scale.ROUTES), limit.name
