"""docs/cost.md contains what docs/cost.py computes, from the current template."""

import json
import re
import tomllib

import pytest
from qr_service.batch import CONNECTIONS
from qr_service.edge.batch import MOST_ITEMS

from docs import cost
from tests.support.template import (
    FUNCTIONS,
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    of_type,
    read,
)

SAMCONFIG = tomllib.loads(read("samconfig.toml"))


@pytest.mark.parametrize(
    "table", [cost.summary, cost.details, cost.batches, cost.prices]
)
def test_the_page_contains_what_the_script_prints(table):
    assert table() in read("docs/cost.md")


def test_items_add_up_to_the_sum():
    items = cost.costs(cost.PROD, 0)
    assert items["RDS instance"] == pytest.approx(0.130 * 730)
    assert items["RDS Proxy"] == pytest.approx(21.90)
    assert f"| `prod` | {cost.dollars(sum(items.values()))} |" in cost.summary()


def test_the_cost_of_a_million_requests_follows_from_the_prices():
    rest, busy = (cost.costs(cost.DEV, requests) for requests in (0, 1_000_000))
    assert busy["API Gateway"] - rest["API Gateway"] == pytest.approx(3.50)
    s3 = busy["S3 requests"] - rest["S3 requests"]
    assert s3 == pytest.approx(0.1 * 5 + 0.9 * 0.4)
    # Below one request a second, X-Ray traces every request.
    assert busy["X-Ray"] == pytest.approx(5.00)
    assert busy["Lambda"] == pytest.approx(0.2 + 0.1816, abs=0.001)


def test_the_script_assumes_what_the_template_contains():
    database = RESOURCES["Database"]["Properties"]
    assert PARAMETERS["DatabaseStorageGigabytes"]["Default"] == cost.STORAGE_GB
    assert database["MultiAZ"] == {"Fn::If": ["IsProduction", True, False]}
    assert RESOURCES["DatabaseProxy"]["Condition"] == "IsProduction"
    alarms = of_type("AWS::CloudWatch::Alarm").values()
    assert (
        sum(
            sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
            for alarm in alarms
        )
        == cost.ALARMS
    )
    assert len(of_type("AWS::CloudWatch::Dashboard")) == 1
    assert len(of_type("AWS::Logs::MetricFilter")) == cost.FILTERED
    memory = TEMPLATE["Globals"]["Function"]["MemorySize"]
    assert FUNCTIONS["GenerateFunction"]["MemorySize"] / 1024 == cost.GENERATE_GB
    assert FUNCTIONS["RetrieveFunction"].get("MemorySize", memory) / 1024 == (
        cost.RETRIEVE_GB
    )
    settings = RESOURCES["Api"]["Properties"]["MethodSettings"]
    assert sum(each.get("MetricsEnabled", False) for each in settings) == cost.DETAILED


def test_a_batch_is_what_the_service_and_its_bench_say():
    assert cost.BATCH_ITEMS == MOST_ITEMS
    assert cost.PUTS_AT_ONCE == CONNECTIONS
    rows = json.loads(read("docs/bench.json"))["rows"]
    (row,) = [row for row in rows if row["topic"] == "warm batch"]
    assert row["ratio"] == pytest.approx(cost.BATCH_CPU_SHARE, abs=0.1)


def test_the_script_counts_all_metrics_of_the_service():
    written = set()
    for path in (ROOT / "layers/common/qr_service").rglob("*.py"):
        written |= set(re.findall(r'add_metric\(\s*"(\w+)"', path.read_text()))
    assert len(written) == cost.METRICS


@pytest.mark.parametrize("stage", cost.STAGES, ids=lambda stage: stage.name)
def test_the_script_assumes_the_parameters_of_each_stage(stage):
    parameters = SAMCONFIG[stage.name]["global"]["parameters"]["parameter_overrides"]
    overrides = dict(pair.split("=", 1) for pair in parameters)
    default = PARAMETERS["DatabaseInstanceClass"]["Default"]
    assert overrides.get("DatabaseInstanceClass", default) == stage.instance
    assert int(overrides["LogRetentionDays"]) == stage.retention_days
    production = overrides.get("Production", PARAMETERS["Production"]["Default"])
    assert (production == "true") == stage.proxy == (stage.zones == "Multi-AZ")


def test_the_readme_contains_the_summary():
    assert cost.summary() in read("README.md")
