"""The promises of the template: rights, limits, versions, alarms."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import functions.verify.app as verify
from tests.support.template import (
    FUNCTIONS,
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    has_shared,
    of_type,
    read,
)

SAMCONFIG = tomllib.loads(read("samconfig.toml"))
ALARMS = of_type("AWS::CloudWatch::Alarm")
DBI_RESOURCE_ID = ["Database", "DbiResourceId"]
# Those that read or write codes.
WITH_DATABASE = [
    "GenerateFunction",
    "RetrieveFunction",
    "RedirectFunction",
    "CleanupFunction",
    "ManageFunction",
]


def policy_actions(properties: Mapping[str, Any]) -> set[str]:
    """Return the actions of a function's policies."""
    allowed = set()
    for policy in properties.get("Policies", []):
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


def test_no_lifecycle_rule_deletes_images():
    rules = RESOURCES["QrBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [rule["Id"] for rule in rules] == ["unfinished-uploads"]


def test_the_cleanup_may_list_the_images_and_nothing_else():
    (listing,) = (
        statement
        for policy in FUNCTIONS["CleanupFunction"]["Policies"]
        for statement in policy["Statement"]
        if statement["Action"] == "s3:ListBucket"
    )
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "codes/*"}}


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
            "s3:GetObject",
            "s3:DeleteObject",
            "rds-db:connect",
            "elasticache:Connect",
        },
        "RetrieveFunction": {"s3:GetObject", "rds-db:connect", "elasticache:Connect"},
        "RedirectFunction": {"rds-db:connect", "elasticache:Connect"},
        "CleanupFunction": {
            "s3:DeleteObject",
            "s3:ListBucket",
            "rds-db:connect",
            "elasticache:Connect",
        },
        "MigrateFunction": {"rds-db:connect"},
        "PagesFunction": set(),
        "ManageFunction": {
            "s3:DeleteObject",
            "rds-db:connect",
            "elasticache:Connect",
        },
        "VerifyFunction": {
            "lambda:InvokeFunction",
            "codedeploy:PutLifecycleEventHookExecutionStatus",
        },
    }


def test_no_function_may_access_a_resource_of_another_stack():
    for function in FUNCTIONS.values():
        for policy in function.get("Policies", []):
            for statement in policy["Statement"]:
                resources = statement["Resource"]
                for each in resources if isinstance(resources, list) else [resources]:
                    text = each["Fn::Sub"]
                    arn = text if isinstance(text, str) else text[0]
                    # Partition, region and account are the same for every stack.
                    resource = re.sub(r"\$\{AWS::\w+\}", "", arn)
                    assert "${" in resource, statement["Sid"]


def test_functions_may_connect_to_the_database_of_their_url():
    """Check the instance; `make rehearse` proves it for the proxy in production."""
    for name in WITH_DATABASE:
        environment = FUNCTIONS[name]["Environment"]["Variables"]
        url, values = environment["DATABASE_URL"]["Fn::Sub"]
        stage, _, address = values["Host"]["Fn::If"]
        assert (stage, set(names_in(address))) == ("IsProduction", {"Database"})
        role = f"qr_{name.removesuffix('Function').lower()}"
        assert url.startswith(f"postgresql://{role}@")
        (resource,) = (
            statement["Resource"]
            for policy in FUNCTIONS[name]["Policies"]
            for statement in policy["Statement"]
            if statement["Action"] == "rds-db:connect"
        )
        resources = resource if isinstance(resource, list) else [resource]
        own, *former = [each["Fn::Sub"] for each in resources]
        for _, names in (own, *former):
            stage, _, database = names["Id"]["Fn::If"]
            instance = {"Fn::GetAtt": DBI_RESOURCE_ID}
            assert (stage, database) == ("IsProduction", instance)
        assert own[0].endswith(f":dbuser:${{Id}}/{role}")
        # Those of release 1.0, while its functions are replaced.
        for _, names in former:
            assert names["Role"] == {"Fn::If": ["HasFormerRole", "qr_app", role]}
        is_new = name in ("ManageFunction", "RedirectFunction")
        assert len(former) == (not is_new)
    assert PARAMETERS["FormerRole"]["Default"] == "false"


def test_the_proxy_may_connect_as_every_role_of_a_function():
    (policy,) = RESOURCES["DatabaseProxyRole"]["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    *own, (former, names) = (each["Fn::Sub"] for each in statement["Resource"])
    roles = {f"qr_{name.removesuffix('Function').lower()}" for name in WITH_DATABASE}
    assert {each.rpartition("/")[2] for each in own} == roles
    assert former.endswith("/${Role}")
    assert names["Role"]["Fn::If"][:2] == ["HasFormerRole", "qr_app"]


def test_no_trace_contains_the_id_of_a_code():
    assert RESOURCES["Api"]["Properties"]["TracingEnabled"] is False
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == {"Ref": "Tracing"}
    assert PARAMETERS["Tracing"]["AllowedValues"] == ["Active", "PassThrough"]


def test_what_makes_or_manages_codes_needs_an_api_key():
    guarded = [
        event["Properties"]["Path"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Properties"].get("Auth", {}).get("ApiKeyRequired")
    ]
    of_codes = ["/codes", *["/codes/{qr_id}"] * 3, "/codes/{qr_id}/scans"]
    assert guarded == ["/generate", "/generate/batch", *of_codes]


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


def test_the_logs_of_the_database_go_to_groups_with_retention():
    database = RESOURCES["Database"]["Properties"]
    name = database["DBInstanceIdentifier"]["Fn::Sub"]
    groups = ["DatabaseLogs", "DatabaseLoginLogs"]
    assert [
        RESOURCES[group]["Properties"]["LogGroupName"]["Fn::Sub"] for group in groups
    ] == [
        [f"/aws/rds/instance/{name[0]}/{log}", name[1]]
        for log in database["EnableCloudwatchLogsExports"]
    ]
    assert RESOURCES["Database"]["DependsOn"] == groups


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ("DatabaseBackupWindow", ["", "02:00-02:30", "23:45-00:15"]),
        (
            "DatabaseMaintenanceWindow",
            ["", "sun:03:00-sun:03:30", "sat:23:45-sun:00:15"],
        ),
    ],
)
def test_windows_of_the_database(given, accepted):
    pattern = re.compile(PARAMETERS[given]["AllowedPattern"])
    for window in accepted:
        assert pattern.fullmatch(window)
    for window in (
        "2:00-2:30",
        "24:00-24:30",
        "02:60-03:00",
        "02:00",
        "Sun:03:00-04:00",
    ):
        assert not pattern.fullmatch(window)


def test_an_unset_parameter_leaves_the_setting_of_the_database_to_aws():
    database = RESOURCES["Database"]["Properties"]
    for name, condition, parameter in (
        ("Iops", "SetsIops", "DatabaseStorageIops"),
        ("StorageThroughput", "SetsThroughput", "DatabaseStorageThroughput"),
        ("PreferredBackupWindow", "SetsBackupWindow", "DatabaseBackupWindow"),
        (
            "PreferredMaintenanceWindow",
            "SetsMaintenanceWindow",
            "DatabaseMaintenanceWindow",
        ),
        ("DBSnapshotIdentifier", "RestoresSnapshot", "DatabaseSnapshot"),
    ):
        unset = {"Fn::Equals": [{"Ref": parameter}, PARAMETERS[parameter]["Default"]]}
        assert TEMPLATE["Conditions"][condition] == {"Fn::Not": [unset]}
        assert database[name] == {
            "Fn::If": [condition, {"Ref": parameter}, {"Ref": "AWS::NoValue"}]
        }


@pytest.mark.parametrize("stage", ["dev", "staging"])
def test_without_a_proxy_functions_leave_connections_for_migrations(stage):
    overrides = SAMCONFIG[stage]["global"]["parameters"]["parameter_overrides"]
    given = dict(each.split("=") for each in overrides)
    most = sum(int(value) for name, value in given.items() if "Reserved" in name)
    allowed = RESOURCES["DatabaseParameters"]["Properties"]["Parameters"]
    assert 0 < most <= 0.75 * int(allowed["max_connections"])


def test_migrations_are_applied_before_a_function_gets_traffic():
    newest = max((ROOT / "functions/migrate/migrations").glob("*.sql")).name
    assert int(RESOURCES["Schema"]["Properties"]["SchemaVersion"]) == int(newest[:4])
    for name in FUNCTIONS.keys() - {"MigrateFunction", "VerifyFunction"}:
        assert "Schema" in RESOURCES[name]["DependsOn"], name


@pytest.mark.parametrize("name", WITH_DATABASE)
def test_functions_wait_for_the_proxy_if_there_is_one(name):
    """A DependsOn cannot depend on a condition, a tag can."""
    assert FUNCTIONS[name]["Tags"] == {
        "database-proxy-targets": {
            "Fn::If": ["IsProduction", {"Ref": "DatabaseProxyTargets"}, "none"]
        }
    }


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
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = FUNCTIONS[name].get("Environment", {})
    environment = [own, shared if has_shared(name, "Environment") else {}]
    # The proxy and the user change only together with the database and the cache.
    used = set(names_in(environment)) - {"AWS::StackName", "DatabaseProxy", "CacheUser"}
    used |= set(names_in(TEMPLATE["Globals"]["Function"]["Tracing"]))
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
    for alarm in alarms:  # each can fire twice while the shortest shift lasts
        watched = ALARMS[alarm["Ref"]]
        assert (watched["DatapointsToAlarm"], watched["EvaluationPeriods"]) == (2, 3)
    lengths = [
        int(minutes) * (1 if share == "Canary10Percent" else 10)
        for share, minutes in re.findall(
            r"(Canary10Percent|Linear10PercentEvery)(\d+)Minutes",
            " ".join(PARAMETERS["Rollout"]["AllowedValues"]),
        )
    ]
    assert len(lengths) == len(PARAMETERS["Rollout"]["AllowedValues"]) - 1
    assert min(lengths) >= 10


def test_new_versions_are_called_before_they_get_traffic():
    hook = FUNCTIONS["VerifyFunction"]
    called = set()
    for name in PUBLISHED:
        preference = FUNCTIONS[name]["DeploymentPreference"]
        assert preference["Hooks"] == {"PreTraffic": {"Ref": "VerifyFunction"}}
        called.add(f"{name}.Version")
    variables = hook["Environment"]["Variables"]
    assert {value["Ref"] for value in variables.values()} == called
    # CodeDeploy's role may invoke no function with another name.
    assert hook["FunctionName"]["Fn::Sub"][0] == "CodeDeployHook_qr-${Suffix}"
    # From inside, neither Lambda nor CodeDeploy can be reached.
    assert not has_shared("VerifyFunction", "VpcConfig")


def test_the_hook_has_time_for_all_its_calls():
    calls = len(FUNCTIONS["VerifyFunction"]["Environment"]["Variables"])
    longest = sum(
        times
        * each.retries["total_max_attempts"]
        * (each.connect_timeout + each.read_timeout)
        for times, each in ((calls, verify.LAMBDA), (1, verify.CODEDEPLOY))
    )
    assert verify.LAMBDA.read_timeout > TEMPLATE["Globals"]["Function"]["Timeout"]
    assert FUNCTIONS["VerifyFunction"]["Timeout"] > longest


@pytest.mark.parametrize("name", PUBLISHED)
def test_errors_are_a_share_of_the_runs_of_the_alias(name):
    rate, *counted = ALARMS[name.replace("Function", "ErrorsAlarm")]["Metrics"]
    assert rate["Expression"] == "errors / runs"
    of_alias = [
        {"Name": "FunctionName", "Value": {"Ref": name}},
        {"Name": "Resource", "Value": {"Fn::Sub": f"${{{name}}}:live"}},
    ]
    for each, metric in zip(counted, ("Errors", "Invocations"), strict=True):
        assert not each["ReturnData"]
        assert each["MetricStat"]["Stat"] == "Sum"
        assert each["MetricStat"]["Metric"]["MetricName"] == metric
        assert each["MetricStat"]["Metric"]["Dimensions"] == of_alias


@pytest.mark.parametrize("name", ["GenerateLatencyAlarm", "RetrieveLatencyAlarm"])
def test_a_slow_request_among_few_wakes_nobody(name):
    slow, p99, requests = ALARMS[name]["Metrics"]
    assert slow["Expression"] == "IF(requests >= 30, p99, 0)"
    assert [p99["MetricStat"]["Stat"], requests["MetricStat"]["Stat"]] == [
        "p99",
        "SampleCount",
    ]
    assert p99["MetricStat"]["Metric"] == requests["MetricStat"]["Metric"]


# ------------------------------------------------------------------------- alarms


def test_every_log_group_has_retention():
    groups = of_type("AWS::Logs::LogGroup")
    used = {
        function["LoggingConfig"]["LogGroup"]["Ref"] for function in FUNCTIONS.values()
    }
    assert used | {"ApiLogs", "DatabaseLogs", "DatabaseLoginLogs"} == set(groups)
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
        if alarm.get("Namespace") == "QRService"
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


def test_counted_lines_have_the_field_that_is_searched():
    line = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"]
    assert '"status":"$context.status"' in line
    assert RESOURCES["ApiThrottled"]["Properties"]["FilterPattern"] == (
        '{ $.status = "429" }'
    )


def test_the_dashboard_shows_all_metrics_that_are_counted_in_logs():
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, each in of_type("AWS::Logs::MetricFilter").items():
        (metric,) = each["MetricTransformations"]
        assert metric["MetricNamespace"] == {"Fn::Sub": "QRService/${AWS::StackName}"}
        assert f'"{metric["MetricName"]}"' in body, name


def test_managed_rules_only_count_what_they_find_in_a_body():
    """Any text may become a code."""
    _, _, (_, rule, _) = (
        each.get("Fn::If", []) for each in RESOURCES["WebAcl"]["Properties"]["Rules"]
    )
    group = rule["Statement"]["ManagedRuleGroupStatement"]
    assert group["Name"] == "AWSManagedRulesKnownBadInputsRuleSet"
    overrides = {
        each["Name"]: each["ActionToUse"] for each in group["RuleActionOverrides"]
    }
    assert overrides
    for name, action in overrides.items():
        assert name.endswith("_BODY")
        assert action == {"Count": {}}


def test_a_versions_description_fits_with_its_longest_values():
    """AWS allows 256 characters."""
    longest = {"LogLevel": 7, "Tracing": 11, "Database": 13, "Cache": 13}
    limited = ("CorsAllowOrigin", "PublicUrl")
    longest |= {name: PARAMETERS[name]["MaxLength"] for name in limited}
    longest |= {"QrBucket": 63}
    for name in WITH_DATABASE:
        if name not in PUBLISHED:
            continue
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


def test_one_failed_cleanup_wakes_nobody_and_two_wake_once():
    """The next run does the work of one that failed; its message says only why."""
    queue = RESOURCES["CleanupFailures"]["Properties"]
    alarm = ALARMS["CleanupFailuresAlarm"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "GreaterThanThreshold",
        1,
    )
    assert 2 * 3600 <= queue["MessageRetentionPeriod"] <= 12 * 3600
    of_runs = [
        name
        for name, each in ALARMS.items()
        if each.get("MetricName") == "Errors" and "Cleanup" in str(each["Dimensions"])
    ]
    assert not of_runs


def test_the_storage_alarm_lies_below_the_growth_of_rds():
    """RDS adds storage when less than a tenth is free."""
    least = PARAMETERS["DatabaseStorageGigabytes"]["MinValue"] * 2**30
    assert ALARMS["DatabaseStorageAlarm"]["Threshold"] <= least / 10 / 2


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
