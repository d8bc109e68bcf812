"""The monthly cost of the service: prices and usage as data, and the arithmetic.

    python3 docs/cost.py

prints the tables of docs/cost.md; tests/unit/test_cost.py compares them with the page.
Prices are list prices of us-east-1 without free tiers, discounts and taxes, as of
November 2026. Check them against AWS's own pages before you rely on them; PRICES says
which of them were confirmed.
"""

import sys
from dataclasses import dataclass

HOURS = 730.0  # a month


@dataclass(frozen=True)
class Price:
    """US dollars per unit; `confirmed` by pages from 2025 and 2026, not AWS's own."""

    dollars: float
    unit: str
    confirmed: bool


PRICES = {
    "RDS db.t4g.small, one zone": Price(0.032, "hour", True),
    "RDS db.t4g.medium, Multi-AZ": Price(0.130, "hour", True),
    "RDS storage (gp3), one zone": Price(0.115, "GB-month", True),
    "RDS storage (gp3), Multi-AZ": Price(0.23, "GB-month", False),
    "RDS Proxy": Price(0.015, "vCPU-hour", False),
    "ElastiCache Serverless for Valkey, data": Price(0.084, "GB-hour", True),
    "ElastiCache Serverless for Valkey, ECPUs": Price(0.0023, "million ECPU", True),
    "API Gateway, REST API": Price(3.50, "million", True),
    "Lambda, requests": Price(0.20, "million", True),
    "Lambda, arm64": Price(0.0000133334, "GB-second", True),
    "S3 PUT and LIST": Price(5.00, "million", False),
    "S3 GET": Price(0.40, "million", False),
    "Transfer to the internet": Price(0.09, "GB", True),
    "CloudWatch Logs, written": Price(0.50, "GB", True),
    "CloudWatch Logs, kept": Price(0.03, "GB-month", False),
    "CloudWatch metric": Price(0.30, "month", True),
    "CloudWatch alarm": Price(0.10, "month", False),
    "CloudWatch dashboard": Price(3.00, "month", True),
    "X-Ray": Price(5.00, "million traces", False),
    "WAF, ACL and one rule": Price(6.00, "month", False),
    "WAF, requests": Price(0.60, "million", False),
}

# What the template creates; the test compares the two.
STORAGE_GB = 20
PROXY_VCPU = 2
ALARMS = 29  # metrics that alarms watch; each is billed
METRICS = 11  # in the namespace QRService
FILTERED = 2  # metrics that are counted in logs
DETAILED = 3  # methods with metrics of their own
GENERATE_GB = 1769 / 1024
RETRIEVE_GB = 512 / 1024

# Assumptions about the traffic.
POST_SHARE = 0.1  # the rest are GET /retrieve, each followed by a download
LIFE_DAYS = 1  # of a code
# Billed milliseconds of a warm request. `make bench` measures about 4 and 0.5 ms of
# CPU. The rest is the wait for S3, PostgreSQL and the cache; besides, retrieve has only
# 0.29 of a vCPU.
GENERATE_MS = 40.0
RETRIEVE_MS = 8.0
COLD_SHARE, COLD_MS = 0.005, 1000.0
# A code in a batch, of BATCH_ITEMS: its CPU is a share of that of a single request, as
# measured by `make bench`; eight PUTs wait at once, and the rest waits once for all.
BATCH_ITEMS = 100
GENERATE_CPU_MS, BATCH_CPU_SHARE = 4.0, 0.74
PUT_MS, PUTS_AT_ONCE = 30.0, 8
BATCH_WAIT_MS = 60.0  # for PostgreSQL, and for a hundred writes to the cache
BATCH_LOG_KB = 2.0
IMAGE_KB, URL_ANSWER_KB, ANSWER_KB = 1.5, 2.0, 1.0  # with headers
LOG_KB = 1.6  # per request: access log, our line, metrics, three lines of Lambda
CACHED_KB = 0.3  # per code
LEAST_CACHED_GB = 0.1  # the minimum that is billed
LISTS = 2  # an hour, by the sweep of a bucket with up to 256,000 images
ECPU = 1.1  # per request
ROUTE_METRICS = 5  # of API Gateway, per method: counts, errors, latencies
MONITORING_GB = 0.3  # logs of enhanced monitoring, per instance


@dataclass(frozen=True)
class Stage:
    """A deployment: its settings that cost money even without traffic."""

    name: str
    instance: str
    zones: str
    proxy: bool
    retention_days: int


DEV = Stage("dev", "db.t4g.small", "one zone", proxy=False, retention_days=7)
PROD = Stage("prod", "db.t4g.medium", "Multi-AZ", proxy=True, retention_days=90)
STAGES = (DEV, PROD)
LOADS = {"at rest": 0, "1 M requests": 1_000_000, "100 M requests": 100_000_000}


def price(name: str) -> float:
    """Return the US dollars per unit."""
    return PRICES[name].dollars


def costs(stage: Stage, requests: int) -> dict[str, float]:
    """Return the US dollars per month, by item."""
    millions = requests / 1e6
    posts = millions * POST_SHARE
    gets = millions - posts
    cold_ms = COLD_SHARE * COLD_MS
    gb_seconds = 1000 * (
        posts * (GENERATE_MS + cold_ms) * GENERATE_GB
        + gets * (RETRIEVE_MS + cold_ms) * RETRIEVE_GB
    )
    cached_gb = max(LEAST_CACHED_GB, posts / 30 * LIFE_DAYS * CACHED_KB)
    sent_gb = gets * (URL_ANSWER_KB + IMAGE_KB) + posts * ANSWER_KB
    instances = 2 if stage.zones == "Multi-AZ" else 1
    logs_gb = millions * LOG_KB + instances * MONITORING_GB
    kept = price("CloudWatch Logs, kept") * stage.retention_days / 30
    metrics = METRICS + FILTERED + (DETAILED * ROUTE_METRICS if requests else 0)
    proxy_hours = PROXY_VCPU * HOURS if stage.proxy else 0
    return {
        "RDS instance": price(f"RDS {stage.instance}, {stage.zones}") * HOURS,
        "RDS storage": price(f"RDS storage (gp3), {stage.zones}") * STORAGE_GB,
        "RDS Proxy": price("RDS Proxy") * proxy_hours,
        "ElastiCache": price("ElastiCache Serverless for Valkey, data")
        * (cached_gb * HOURS)
        + price("ElastiCache Serverless for Valkey, ECPUs") * (millions * ECPU),
        "API Gateway": price("API Gateway, REST API") * millions,
        "Lambda": price("Lambda, requests") * millions
        + price("Lambda, arm64") * gb_seconds,
        "S3 requests": price("S3 PUT and LIST") * (posts + LISTS * HOURS / 1e6)
        + price("S3 GET") * gets,
        "Transfer": price("Transfer to the internet") * sent_gb,
        "Logs": (price("CloudWatch Logs, written") + kept) * logs_gb,
        "Metrics, alarms, dashboard": price("CloudWatch metric") * metrics
        + price("CloudWatch alarm") * ALARMS
        + price("CloudWatch dashboard"),
        "X-Ray": price("X-Ray") * (traced(posts) + traced(gets)),
    }


def of_a_million_codes(*, batches: bool) -> dict[str, float]:
    """Return the US dollars of creating a million codes, by item."""
    millions = 1 / BATCH_ITEMS if batches else 1.0
    log_kb = BATCH_LOG_KB if batches else LOG_KB
    code_ms = batched_ms() if batches else GENERATE_MS
    gb_seconds = 1000 * GENERATE_GB * (code_ms + millions * COLD_SHARE * COLD_MS)
    return {
        "API Gateway": price("API Gateway, REST API") * millions,
        "Lambda": price("Lambda, requests") * millions
        + price("Lambda, arm64") * gb_seconds,
        "S3 requests": price("S3 PUT and LIST"),
        "Logs": price("CloudWatch Logs, written") * millions * log_kb,
        "X-Ray": price("X-Ray") * traced(millions),
    }


def batched_ms() -> float:
    """Return the milliseconds that are billed for a code in a batch.

    Drawing and putting go on at the same time, so the slower of the two counts.
    """
    drawn, put = GENERATE_CPU_MS * BATCH_CPU_SHARE, PUT_MS / PUTS_AT_ONCE
    return max(drawn, put) + BATCH_WAIT_MS / BATCH_ITEMS


def traced(millions: float) -> float:
    """Return how many evenly spread requests are traced, in millions.

    X-Ray traces one request per second and 5 % of the rest.
    """
    first = min(millions, HOURS * 3600 / 1e6)
    return first + 0.05 * (millions - first)


def waf(requests: int) -> float:
    """Return what EnableWaf adds, in US dollars per month."""
    return price("WAF, ACL and one rule") + price("WAF, requests") * requests / 1e6


def dollars(amount: float) -> str:
    """Return an amount as text: with cents below ten dollars, else without."""
    return f"{amount:,.2f}" if amount < 10 else f"{amount:,.0f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def details() -> str:
    """Return the table of every item, for each stage and load."""
    columns = [(stage, load) for stage in STAGES for load in LOADS]
    found = [costs(stage, LOADS[load]) for stage, load in columns]
    rows = [[item, *(dollars(each[item]) for each in found)] for item in found[0]]
    total = [f"**{dollars(sum(each.values()))}**" for each in found]
    rows.append(["**sum**", *total])
    rows.append(
        ["WAF, if enabled", *(dollars(waf(LOADS[load])) for _, load in columns)]
    )
    return table(
        ["US dollars a month", *(f"{stage.name}, {load}" for stage, load in columns)],
        rows,
    )


def summary() -> str:
    """Return the table of the sums alone, which is in README.md, too."""
    rows = [
        [
            f"`{stage.name}`",
            *(dollars(sum(costs(stage, load).values())) for load in LOADS.values()),
        ]
        for stage in STAGES
    ]
    return table(["US dollars a month", *LOADS], rows)


def batches() -> str:
    """Return the table of a million codes, one by one and in batches."""
    single, together = (of_a_million_codes(batches=each) for each in (False, True))
    rows = [[item, dollars(single[item]), dollars(together[item])] for item in single]
    sums = [f"**{dollars(sum(each.values()))}**" for each in (single, together)]
    head = ["US dollars for a million codes", "one by one", "in batches of 100"]
    return table(head, [*rows, ["**sum**", *sums]])


def prices() -> str:
    """Return the table of prices, and whether each was confirmed."""
    rows = [
        [name, f"{each.dollars:.10f}".rstrip("0").rstrip("."), each.unit, sure]
        for name, each in PRICES.items()
        for sure in ["yes" if each.confirmed else "**no**"]
    ]
    return table(["price", "US dollars", "per", "confirmed"], rows)


if __name__ == "__main__":
    sys.stdout.write(f"{summary()}\n{details()}\n{batches()}\n{prices()}")
