"""The promises of the template: rights, limits, versions, alarms."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.template import (
    FUNCTIONS,
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    of_type,
    read,
)

ALARMS = of_type("AWS::CloudWatch::Alarm")
DBI_RESOURCE_ID = ["Database", "DbiResourceId"]


def policy_actions(properties: Mapping[str, Any]) -> set[str]:
    """Return the actions of a function's policies."""
    allowed = set()
    for policy in properties["Policies"]:
        for statement in policy["Statement"]:
            actions = statement["Action"]
            allowed |= {actions} if isinstance(actions, str) else set(actions)
    return allowed


def names_in(value: Any) -> Iterator[str]:
    """Yield the parameters and resources that a value refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref":
                yield inner
            elif key == "Fn::GetAtt":
                yield inner[0] if isinstance(inner, list) else inner.split(".")[0]
            elif key == "Fn::Sub":
                text, *values = inner if isinstance(inner, list) else [inner]
                own = {name for each in values for name in each}
                found = {
                    name.split(".")[0] for name in re.findall(r"\$\{([\w.:]+)\}", text)
                }
                yield from found - own
                yield from names_in(values)
            else:
                yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


# ------------------------------------------------------------------------- images


def test_the_lifecycle_rule_is_longer_than_the_longest_code():
    rules = RESOURCES["QrBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    days = [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule]
    longest = PARAMETERS["MaxExpirationHours"]["MaxValue"]
    assert [day * 24 > longest for day in days] == [True]


def test_the_bucket_accepts_signatures_until_urls_expire():
    statements = RESOURCES["QrBucketPolicy"]["Properties"]["PolicyDocument"]
    ages = [
        int(statement["Condition"]["NumericGreaterThan"]["s3:signatureAge"])
        for statement in statements["Statement"]
        if "NumericGreaterThan" in statement["Condition"]
    ]
    assert ages == [1000 * PARAMETERS["UrlTtlSeconds"]["MaxValue"]]


def test_the_bucket_is_private_encrypted_and_keeps_no_versions():
    bucket = RESOURCES["QrBucket"]["Properties"]
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    # An erased image must not be recoverable.
    assert "VersioningConfiguration" not in bucket


def test_the_bucket_requires_tls():
    policy = RESOURCES["QrBucketPolicy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "QrBucket"}
    (statement,) = [
        each
        for each in policy["PolicyDocument"]["Statement"]
        if "Bool" in each["Condition"]
    ]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Action"] == "s3:*"
    bucket, objects = statement["Resource"]
    assert bucket == {"Fn::GetAtt": ["QrBucket", "Arn"]}
    assert objects == {"Fn::Sub": "${QrBucket.Arn}/*"}


# --------------------------------------------------------------------- production


def test_what_production_requires():
    """CloudFormation checks these rules before it creates anything."""
    required = {
        (str(rule["RuleCondition"]["Fn::Equals"]), str(assertion["Assert"]))
        for rule in TEMPLATE["Rules"].values()
        if "Fn::Equals" in rule["RuleCondition"]
        for assertion in rule["Assertions"]
    }
    an_address = {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}]}
    production = {"Fn::Equals": [{"Ref": "Production"}, "true"]}
    assert required == {
        ("[{'Ref': 'Production'}, 'true']", str(an_address)),
        ("[{'Ref': 'Stage'}, 'prod']", str(production)),
    }


def test_the_name_of_the_stage_decides_nothing():
    """Two production stages can live in one account and region."""
    assert not [
        name
        for name in TEMPLATE["Conditions"]
        if "Stage" in str(TEMPLATE["Conditions"][name])
    ]


def test_a_first_deployment_that_fails_can_be_deleted():
    database = RESOURCES["Database"]["Properties"]
    assert database["DeletionProtection"] == {"Ref": "ProtectDatabase"}
    assert PARAMETERS["ProtectDatabase"]["Default"] == "false"
    assert "ProtectDatabase" not in read("samconfig.toml")


# ------------------------------------------------------------------------- rights


def test_no_function_has_more_rights_than_it_needs():
    assert {name: policy_actions(each) for name, each in FUNCTIONS.items()} == {
        "GenerateFunction": {
            "s3:PutObject",
            "s3:DeleteObject",
            "rds-db:connect",
            "elasticache:Connect",
        },
        "RetrieveFunction": {"s3:GetObject", "rds-db:connect", "elasticache:Connect"},
        "CleanupFunction": {"s3:DeleteObject", "rds-db:connect"},
        "MigrateFunction": {"rds-db:connect"},
    }


def test_no_function_may_access_a_resource_of_another_stack():
    for function in FUNCTIONS.values():
        for policy in function["Policies"]:
            for statement in policy["Statement"]:
                resources = statement["Resource"]
                for each in resources if isinstance(resources, list) else [resources]:
                    text = each["Fn::Sub"]
                    arn = text if isinstance(text, str) else text[0]
                    # Partition, region and account are the same for every stack.
                    resource = re.sub(r"\$\{AWS::\w+\}", "", arn).split(":", 5)[-1]
                    assert "${" in resource, statement["Sid"]


def test_functions_may_connect_to_the_database_of_their_url():
    """Check the instance; `make rehearse` proves it for the proxy in production."""
    environment = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    stage, _, address = environment["DATABASE_URL"]["Fn::Sub"][1]["Host"]["Fn::If"]
    assert (stage, set(names_in(address))) == ("IsProduction", {"Database"})
    for name in ("GenerateFunction", "RetrieveFunction", "CleanupFunction"):
        (allowed,) = (
            statement["Resource"]["Fn::Sub"]
            for policy in FUNCTIONS[name]["Policies"]
            for statement in policy["Statement"]
            if statement["Action"] == "rds-db:connect"
        )
        stage, _, database = allowed[1]["Id"]["Fn::If"]
        assert (stage, database) == ("IsProduction", {"Fn::GetAtt": DBI_RESOURCE_ID})


def test_no_trace_contains_the_id_of_a_code():
    assert RESOURCES["Api"]["Properties"]["TracingEnabled"] is False
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == "Active"


def test_only_generate_needs_an_api_key():
    guarded = [
        event["Properties"]["Path"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Properties"].get("Auth", {}).get("ApiKeyRequired")
    ]
    assert guarded == ["/generate"]


# ----------------------------------------------------------------------- database


def test_the_database_has_no_passwords():
    database = RESOURCES["Database"]["Properties"]
    assert database["MasterUserAuthenticationType"] == "iam-db-auth"
    assert database["EnableIAMDatabaseAuthentication"] is True
    assert not database.keys() & {"MasterUserPassword", "ManageMasterUserPassword"}
    assert (
        TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["DATABASE_AUTH"]
        == "iam"
    )


def test_the_database_keeps_payloads_out_of_its_log():
    parameters = RESOURCES["DatabaseParameters"]["Properties"]["Parameters"]
    assert {
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length_on_error": "0",
    }.items() <= parameters.items()
    assert RESOURCES["Database"]["Properties"]["EnablePerformanceInsights"] is False


def test_the_log_of_the_database_goes_to_the_group_with_retention():
    group = RESOURCES["DatabaseLogs"]["Properties"]["LogGroupName"]["Fn::Sub"]
    name = RESOURCES["Database"]["Properties"]["DBInstanceIdentifier"]["Fn::Sub"]
    assert group == [f"/aws/rds/instance/{name[0]}/postgresql", name[1]]
    assert RESOURCES["Database"]["DependsOn"] == "DatabaseLogs"


def test_migrations_are_applied_before_a_function_gets_traffic():
    newest = max((ROOT / "functions/migrate/migrations").glob("*.sql")).name
    assert int(RESOURCES["Schema"]["Properties"]["SchemaVersion"]) == int(newest[:4])
    for name in FUNCTIONS.keys() - {"MigrateFunction"}:
        assert "Schema" in RESOURCES[name]["DependsOn"], name


# ----------------------------------------------------------------------- versions

PUBLISHED = [name for name, each in FUNCTIONS.items() if "AutoPublishAlias" in each]


def test_every_function_behind_the_api_is_published():
    behind = [
        name
        for name, function in FUNCTIONS.items()
        if any(each["Type"] == "Api" for each in function.get("Events", {}).values())
    ]
    assert behind == PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_change_of_the_environment_publishes_a_version(name):
    """Require a new version, because an alias keeps the environment of its version."""
    environment = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    # The proxy and the user change only together with the database and the cache.
    used = set(names_in(environment)) - {"AWS::StackName", "DatabaseProxy", "CacheUser"}
    assert used <= set(names_in(FUNCTIONS[name]["VersionDescription"]))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_canary_is_rolled_back_by_alarms_that_exist(name):
    condition, alarms, none = FUNCTIONS[name]["DeploymentPreference"]["Alarms"][
        "Fn::If"
    ]
    assert (condition, none) == ("RollsBackOnAlarms", [])
    assert {alarm["Ref"] for alarm in alarms} <= set(ALARMS)
    assert {"Ref": "ApiServerErrorsAlarm"} in alarms
    assert {"Ref": name.replace("Function", "ErrorsAlarm")} in alarms


# ------------------------------------------------------------------------- alarms


def test_every_log_group_has_retention():
    groups = of_type("AWS::Logs::LogGroup")
    used = {
        function["LoggingConfig"]["LogGroup"]["Ref"] for function in FUNCTIONS.values()
    }
    assert used | {"ApiLogs", "DatabaseLogs"} == set(groups)
    for name, group in groups.items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_sent_described_and_documented(name):
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm["AlarmDescription"]
    assert f"\n### {name}\n" in read("docs/operations.md")


def test_only_existing_alarms_are_documented():
    documented = re.findall(
        r"^### (\w+Alarm)$", read("docs/operations.md"), re.MULTILINE
    )
    assert sorted(documented) == sorted(ALARMS)


def test_alarms_and_dashboard_show_metrics_that_exist():
    emitted = set()
    for path in (ROOT / "layers/common/qr_service").rglob("*.py"):
        emitted |= set(re.findall(r'add_metric\(\s*"(\w+)"', path.read_text()))
    shown = {
        alarm["MetricName"]
        for alarm in ALARMS.values()
        if alarm["Namespace"] == "QRService"
    }
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for metrics in re.findall(r'\["QRService".*?\]\s*\]', body, re.DOTALL):
        shown |= set(re.findall(r'\["(?:QRService|\.)", "(\w+)"', metrics))
    assert {"CacheHits", "CleanupBacklogSeconds", "CodesErased", "Unscannable"} <= shown
    assert shown <= emitted


def test_no_log_has_the_address_of_a_caller():
    text = read("template.yaml")
    assert "sourceIp" not in text
    assert "userAgent" not in text


def test_a_versions_description_fits_with_its_longest_values():
    """AWS allows 256 characters."""
    longest = {"LogLevel": 7, "CorsAllowOrigin": 128, "Database": 13, "Cache": 13}
    longest |= {"QrBucket": 63}
    for name in ("GenerateFunction", "RetrieveFunction"):
        text = FUNCTIONS[name]["VersionDescription"]["Fn::Sub"]
        names = re.findall(r"\$\{(\w+)\}", text)
        lengths = {
            each: longest.get(each) or len(str(PARAMETERS[each]["MaxValue"]))
            for each in names
        }
        whole = len(re.sub(r"\$\{\w+\}", "", text)) + sum(lengths.values())
        assert whole <= 256, lengths


def test_the_connections_alarm_starts_at_80_percent():
    parameters = RESOURCES["DatabaseParameters"]["Properties"]["Parameters"]
    threshold = ALARMS["DatabaseConnectionsAlarm"]["Threshold"]
    assert threshold == 0.8 * int(parameters["max_connections"])


def test_the_missing_cleanup_alarm_waits_for_two_runs():
    pattern = re.compile(PARAMETERS["CleanupSchedule"]["AllowedPattern"])
    assert pattern.fullmatch("rate(1 hour)")
    assert not pattern.fullmatch("rate(2 hours)")
    alarm = ALARMS["CleanupMissingAlarm"]
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 7200
    events = FUNCTIONS["CleanupFunction"]["Events"]
    assert events["Hourly"]["Properties"]["ScheduleExpression"] == {
        "Ref": "CleanupSchedule"
    }
