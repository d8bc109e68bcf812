"""What saturates first, and which knob moves it: demand, limits, the arithmetic.

    python3 -m docs.scale

prints the tables of docs/scale.md; tests/unit/test_scale.py compares them with the
page, and the limits with the template. Quotas are AWS's defaults as of November 2026;
the page says what is assumed.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from docs.cost import COLD_MS, COLD_SHARE, GENERATE_MS, RETRIEVE_MS, price, table

RATES = (100, 1_000, 10_000)  # requests per second
NEAR = 0.8  # of a limit
SCAN_MS = RETRIEVE_MS  # of a scan: make bench measures the CPU of a retrieve, + 10 %


@dataclass(frozen=True, slots=True)
class Route:
    """A route, and what one request uses.

    `throttle` is the parameter that limits it. Milliseconds are billed ones; `rows` is
    how many statements PostgreSQL runs, `units` the ECPU of its cache commands.
    """

    name: str
    throttle: str
    milliseconds: float
    rows: float
    units: float
    puts: int = 0
    gets: int = 0
    counts: int = 0  # commands on the one counter of the day


# One in ten retrieves and scans finds its code in no cache, or refreshes it.
GENERATE = Route("generate", "GenerateRateLimit", GENERATE_MS, 1.0, 1.5, puts=1)
RETRIEVE = Route("retrieve", "RetrieveRateLimit", RETRIEVE_MS, 0.1, 1.3, gets=1)
SCAN = Route("scan", "RedirectRateLimit", SCAN_MS, 0.1, 3.0, counts=1)
ROUTES = (GENERATE, RETRIEVE, SCAN)
# Defaults of the template; a test compares them.
THROTTLES = {
    "GenerateRateLimit": 20,
    "RetrieveRateLimit": 200,
    "RedirectRateLimit": 1_000,
}
CACHE_UNITS = 30_000  # CacheMaximumEcpu
CONNECTIONS = 160  # 80 % of max_connections, which RDS Proxy shares


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that saturates: `demand` at a rate, of a route, against `most`."""

    name: str
    most: Callable[[Route], float]
    demand: Callable[[Route, int], float]
    knob: str


def concurrent(route: Route, rate: int) -> float:
    """Return how many executions run at a time."""
    return rate * (route.milliseconds + COLD_SHARE * COLD_MS) / 1000


LIMITS = (
    Limit(
        "the route's throttle",
        lambda route: THROTTLES[route.throttle],
        lambda _, rate: rate,
        "`GenerateRateLimit`, `RetrieveRateLimit`, `RedirectRateLimit`",
    ),
    Limit(
        "API Gateway, requests of the account",
        lambda _: 10_000,
        lambda _, rate: rate,
        "Service Quotas: throttle rate",
    ),
    Limit(
        "Lambda, executions at a time",
        lambda _: 1_000,
        concurrent,
        "quota L-B99A9384, then `...ReservedConcurrency`",
    ),
    Limit(
        "connections to PostgreSQL",
        lambda _: CONNECTIONS,
        # A statement holds a connection of the proxy for about two milliseconds.
        lambda route, rate: rate * route.rows * 0.002,
        "`DatabaseInstanceClass`",
    ),
    Limit(
        "CPU of PostgreSQL (db.t4g.medium, without credits)",
        lambda _: 0.4,
        # Seconds of a vCPU: an INSERT with its indexes, or a look-up.
        lambda route, rate: rate * (0.0003 if route.puts else route.rows * 0.00006),
        "`DatabaseInstanceClass`: an r8g.large has five times as much, all the time",
    ),
    Limit(
        "ECPU of the cache",
        lambda _: CACHE_UNITS,
        lambda route, rate: rate * route.units,
        "`CacheMaximumEcpu`",
    ),
    Limit(
        "ECPU of the counter of the day, one key",
        lambda _: 30_000,
        lambda route, rate: rate * route.counts * 2.0,
        '`"count": false` for codes with more scans than this',
    ),
    Limit(
        "S3, objects stored",
        lambda _: 3_500,
        lambda route, rate: rate * route.puts,
        "none: S3 divides the ids among more partitions as it goes on",
    ),
    Limit(
        "S3, images fetched",
        lambda _: 5_500,
        lambda route, rate: rate * route.gets,
        "none: the same",
    ),
)


def used(route: Route, rate: int) -> list[tuple[float, Limit]]:
    """Return the share of each limit that a route uses at a rate, the largest first."""
    shares = [
        (limit.demand(route, rate) / limit.most(route), limit) for limit in LIMITS
    ]
    return sorted(shares, key=lambda share: -share[0])


def saturated() -> str:
    """Return the table of what saturates, in its order, or else comes closest."""
    rows = []
    for route in ROUTES:
        for rate in RATES:
            (share, first), *others = used(route, rate)
            near = [(share, first), *(each for each in others if each[0] >= NEAR)]
            shown = [f"{limit.name} ({share:,.0%})" for share, limit in near]
            rows.append([route.name, f"{rate:,}", "; ".join(shown)])
    return _text_table(["route", "a second", "in use, of the limit"], rows)


def limits() -> str:
    """Return the table of limits: the rate at which each is reached, and its knob."""
    rows = [
        [limit.name, *(_reached(limit, route) for route in ROUTES), limit.knob]
        for limit in LIMITS
    ]
    return table(
        ["requests a second at the limit", *(r.name for r in ROUTES), "knob"], rows
    )


def million() -> str:
    """Return the table of what a million requests cost."""
    rows = []
    for route in ROUTES:
        seconds = (route.milliseconds + COLD_SHARE * COLD_MS) / 1000
        memory = 1769 / 1024 if route is GENERATE else 0.5
        items = [
            price("API Gateway, REST API"),
            price("Lambda, requests") + 1e6 * seconds * memory * price("Lambda, arm64"),
            route.units * price("ElastiCache Serverless for Valkey, ECPUs"),
            route.puts * price("S3 PUT and LIST") + route.gets * price("S3 GET"),
            1.6 * price("CloudWatch Logs, written"),
        ]
        rows.append([route.name, *(f"{each:.2f}" for each in (*items, sum(items)))])
    heads = ["API Gateway", "Lambda", "cache", "S3", "logs", "**sum**"]
    return table(["US dollars a million", *heads], rows)


def _reached(limit: Limit, route: Route) -> str:
    demand = limit.demand(route, 1_000)
    return f"{1000 * limit.most(route) / demand:,.0f}" if demand else "-"


def _text_table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] * len(head)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def tables() -> list[str]:
    """Return the tables of the page."""
    return [saturated(), limits(), million()]


if __name__ == "__main__":
    sys.stdout.write("\n".join(tables()))
