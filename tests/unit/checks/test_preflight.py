"""What stops a deployment before it begins; the answers of AWS are given here."""

from copy import deepcopy
from types import SimpleNamespace

import boto3
import pytest

from checks import preflight
from checks.deploy import DeployError
from checks.preflight import Plan, findings, planned

ZONES = {"eu-central-1a": "euc1-az2", "eu-central-1b": "euc1-az3"}
NO_STACK = ("ValidationError", "Stack with id qr-codes-dev does not exist")
OPTION = {
    "EngineVersion": "17.6",
    "StorageType": "gp3",
    "AvailabilityZones": [{"Name": name} for name in ZONES],
}
S3 = {"VpcEndpointType": "Gateway", "RouteTableIds": ["rtb-1"]}


def zones(found):
    return [{"ZoneName": name, "ZoneId": number} for name, number in found.items()]


def subnet(number, zone, vpc="vpc-1"):
    return {
        "SubnetId": f"subnet-{number}",
        "VpcId": vpc,
        "AvailabilityZone": zone,
        "AvailabilityZoneId": ZONES.get(zone, "use1-az3"),
    }


# What AWS answers where nothing is wrong, by operation; an error is its code and text.
FINE = {
    "GetCallerIdentity": {"Account": "123456789012"},
    "DescribeStacks": NO_STACK,
    "DescribeAvailabilityZones": {"AvailabilityZones": zones(ZONES)},
    "DescribeSubnets": {"Subnets": []},
    "DescribeRouteTables": {
        "RouteTables": [
            {"RouteTableId": "rtb-1", "Associations": [{"SubnetId": "subnet-1"}]},
            {"RouteTableId": "rtb-2", "Associations": [{"Main": True}]},
        ]
    },
    "DescribeVpcEndpoints": {
        "VpcEndpoints": [{**S3, "RouteTableIds": ["rtb-1", "rtb-2"]}]
    },
    "DescribeOrderableDBInstanceOptions": {"OrderableDBInstanceOptions": [OPTION]},
    "GetAccountSettings": {
        "AccountLimit": {
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 1000,
        }
    },
    "GetFunctionConcurrency": {"ReservedConcurrentExecutions": 60},
    "DescribeStackResource": {
        "StackResourceDetail": {"PhysicalResourceId": "qr-codes-dev-Function"}
    },
    "GetRole": {"Role": {}},
    "GetAccount": {},
}


@pytest.fixture
def aws(monkeypatch):
    """Return the answers of AWS, to be changed; requests are checked by botocore."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "not-a-real-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    answers = deepcopy(FINE)
    original = boto3.session.Session.client

    def client(session, service, **options):
        made = original(session, service, region_name="eu-central-1", **options)

        def answer(model, **_):
            found = answers[model.name]
            if isinstance(found, tuple):
                code, message = found
                error = {"Error": {"Code": code, "Message": message}}
                return SimpleNamespace(status_code=400), error
            return SimpleNamespace(status_code=200), found

        made.meta.events.register("before-call", answer)
        return made

    monkeypatch.setattr(boto3.session.Session, "client", client)
    return answers


def new(**parameters):
    """Return the plan of a new stack of the stage dev."""
    given = " ".join(f"{name}={value}" for name, value in parameters.items())
    region = "eu-central-1"
    return planned("dev", {"PARAMETERS": given}, region, boto3.client)


def existing(aws, state="UPDATE_COMPLETE", **parameters):
    """Return the plan of a stack that exists, with these parameters so far."""
    before = [
        {"ParameterKey": name, "ParameterValue": value}
        for name, value in parameters.items()
    ]
    aws["DescribeStacks"] = {"Stacks": [{"StackStatus": state, "Parameters": before}]}
    return new()


def texts(plan):
    """Return the findings of a plan: errors, and notes with a leading `note: `."""
    return [
        each.text if each.is_error else f"note: {each.text}"
        for each in findings(plan, boto3.client)
    ]


def only(plan):
    """Return the only finding of a plan."""
    (found,) = texts(plan)
    return found


# ------------------------------------------------------------------------ the plan


def test_a_given_parameter_wins_then_the_stages_then_the_stacks_then_the_default(aws):
    plan = existing(
        aws,
        UrlTtlSeconds="60",  # a default is 900
        LogLevel="ERROR",  # in samconfig.toml DEBUG
    )
    assert plan.parameters["UrlTtlSeconds"] == "60"
    assert plan.parameters["LogLevel"] == "DEBUG"
    assert plan.parameters["TombstoneDays"] == "30"
    assert new(LogLevel="INFO").parameters["LogLevel"] == "INFO"


@pytest.mark.usefixtures("aws")
def test_without_a_region_or_stage_there_is_no_plan():
    for stage, region in (("dev", ""), ("nothing", "eu-central-1")):
        with pytest.raises(DeployError):
            planned(stage, {}, region, boto3.client)


@pytest.mark.usefixtures("aws")
def test_nothing_stands_in_the_way_of_a_new_stack_where_all_is_well():
    assert texts(new()) == []
    assert texts(new(Production="true", AlarmEmail="ops@example.com")) == []


def test_a_change_set_that_was_not_executed_is_no_stack(aws):
    assert existing(aws, "REVIEW_IN_PROGRESS").state == ""


# ---------------------------------------------------------------------- the checks


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("ROLLBACK_COMPLETE", "sam delete --stack-name qr-codes-dev"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name qr-codes"),
        ("UPDATE_IN_PROGRESS", "wait"),
    ],
)
def test_a_stack_that_cannot_be_updated(aws, state, reason):
    """Its functions, for example, may be gone."""
    aws["GetFunctionConcurrency"] = ("ResourceNotFoundException", "no function")
    found = only(existing(aws, state))
    assert state in found
    assert reason in found


def test_production_without_protection_is_a_note(aws):
    plan = existing(aws, Production="true")
    assert only(plan).startswith("note: the database is not protected")
    assert texts(existing(aws, Production="true", ProtectDatabase="true")) == []


def test_a_region_without_budgets_refuses_one(aws):
    plan = new(MonthlyBudgetUsd="50")
    assert texts(plan) == []
    other = Plan(plan.stack, "eu-north-1", plan.parameters, "UPDATE_COMPLETE")
    assert "MonthlyBudgetUsd=0" in only(other)


@pytest.mark.parametrize(
    ("production", "missing"),
    [("false", 0), ("true", 2)],
)
def test_a_region_that_lacks_what_is_needed(aws, production, missing):
    plan = new(Production=production)
    other = Plan(plan.stack, "ap-east-2", plan.parameters, "")
    note, *errors = texts(other)
    assert note == "note: ap-east-2 is not one of the regions of README.md"
    lacking = [each for each in errors if each.startswith("ap-east-2 has no AWS::RDS")]
    assert len(lacking) == missing


UNSERVED = {"us-east-1a": "use1-az3", "us-east-1b": "use1-az1", "us-east-1c": "x"}


def test_a_zone_that_lambda_does_not_serve(aws):
    aws["DescribeAvailabilityZones"] = {"AvailabilityZones": zones(UNSERVED)}
    aws["DescribeOrderableDBInstanceOptions"] = {
        "OrderableDBInstanceOptions": [
            {**OPTION, "AvailabilityZones": [{"Name": name} for name in UNSERVED]}
        ]
    }
    assert "AvailabilityZones=us-east-1b,us-east-1c" in only(new())
    assert texts(new(AvailabilityZones="us-east-1b,us-east-1c")) == []
    assert texts(existing(aws)) == []  # it has its zones


@pytest.mark.parametrize("zones", ["eu-central-1a", "eu-central-1a,eu-central-1x"])
@pytest.mark.usefixtures("aws")
def test_zones_that_are_not_two_of_the_region(zones):
    found = texts(new(AvailabilityZones=zones))
    assert "such as eu-central-1a,eu-central-1b" in found[0]


def test_zones_with_a_default_subnet_come_first(aws):
    """As with Fn::GetAZs."""
    aws["DescribeAvailabilityZones"] = {"AvailabilityZones": zones(UNSERVED)}
    aws["DescribeSubnets"] = {
        "Subnets": [{"AvailabilityZone": name} for name in ("us-east-1b", "us-east-1c")]
    }
    chosen = preflight._chosen_zones(new(), boto3.client("ec2"))
    assert list(chosen) == ["us-east-1b", "us-east-1c"]


NETWORK = {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}


@pytest.mark.parametrize(
    ("subnets", "endpoints", "reason"),
    [
        (["eu-central-1a", "eu-central-1b"], [["rtb-1", "rtb-2"]], ""),
        (["eu-central-1a", "eu-central-1a"], [["rtb-1", "rtb-2"]], "two availability"),
        (["eu-central-1a", "eu-central-1b"], [["rtb-2"]], "subnet-1 has no S3"),
        (["eu-central-1a", "eu-central-1b"], [["rtb-1"]], "subnet-2 has no S3"),
        (["eu-central-1a", "us-east-1a"], [["rtb-1", "rtb-2"]], "use other subnets"),
    ],
)
def test_a_network_of_ones_own(aws, subnets, endpoints, reason):
    aws["DescribeSubnets"] = {
        "Subnets": [subnet(number, zone) for number, zone in enumerate(subnets, 1)]
    }
    aws["DescribeVpcEndpoints"] = {
        "VpcEndpoints": [{**S3, "RouteTableIds": tables} for tables in endpoints]
    }
    found = texts(new(**NETWORK))
    assert len(found) == bool(reason)
    assert reason in "".join(found)


def test_a_subnet_of_another_network(aws):
    aws["DescribeSubnets"] = {
        "Subnets": [
            subnet(1, "eu-central-1a"),
            subnet(2, "eu-central-1b", vpc="vpc-2"),
        ]
    }
    assert only(new(**NETWORK)) == "SubnetIds: subnet-2 does not belong to vpc-1"


def test_a_subnet_that_does_not_exist(aws):
    aws["DescribeSubnets"] = ("InvalidSubnetID.NotFound", "no subnet-2")
    assert "no subnet-2" in only(new(**NETWORK))


@pytest.mark.parametrize(
    ("option", "production", "reason"),
    [
        ({"EngineVersion": "16.9"}, "false", "has no db.t4g.small for PostgreSQL 17"),
        ({"StorageType": "gp2"}, "false", "has no db.t4g.small"),
        ({"AvailabilityZones": [{"Name": "eu-central-1a"}]}, "false", ""),
        ({"AvailabilityZones": [{"Name": "eu-central-1a"}]}, "true", "eu-central-1b"),
        ({"AvailabilityZones": [{"Name": "eu-central-1c"}]}, "false", "eu-central-1a"),
    ],
)
def test_a_class_that_the_zones_do_not_have(aws, option, production, reason):
    aws["DescribeOrderableDBInstanceOptions"] = {
        "OrderableDBInstanceOptions": [OPTION | option]
    }
    found = texts(new(Production=production))
    assert len(found) == bool(reason)
    assert reason in "".join(found)


def test_a_quota_that_cannot_be_reserved_from(aws):
    aws["GetAccountSettings"] = {
        "AccountLimit": {
            "ConcurrentExecutions": 10,
            "UnreservedConcurrentExecutions": 10,
        }
    }
    error, note = texts(new())
    assert (
        "GenerateReservedConcurrency=0 RetrieveReservedConcurrency=0"
        " RedirectReservedConcurrency=0 ManageReservedConcurrency=0" in error
    )
    assert note.startswith("note: the account has only 10 executions")
    names = ("Generate", "Retrieve", "Redirect", "Manage")
    plan = new(**{f"{name}ReservedConcurrency": "0" for name in names})
    assert only(plan) == note


def test_what_the_stack_itself_has_reserved_is_not_missing(aws):
    """The stage dev reserves 50, 45, 45 and 10; 100 have to remain."""
    aws["GetAccountSettings"]["AccountLimit"] |= {"UnreservedConcurrentExecutions": 130}
    assert texts(existing(aws)) == []
    aws["DescribeStackResource"] = ("ValidationError", "Resource does not exist")
    assert "150 cannot be reserved" in only(existing(aws)), "an earlier release"
    aws["DescribeStacks"] = NO_STACK
    assert "150 cannot be reserved" in only(new())


def test_a_new_account_lacks_linked_roles(aws):
    aws["GetRole"] = ("NoSuchEntity", "no role")
    found = texts(new())
    assert [each.rpartition(" ")[2] for each in found] == [
        "rds.amazonaws.com",
        "elasticache.amazonaws.com",
    ]
    assert texts(existing(aws)) == []


OWN_ROLE = "arn:aws:iam::123456789012:role/qr-codes-dev-ApiGatewayLogRole-1A2B"


@pytest.mark.parametrize(
    ("role", "manages", "found"),
    [
        ({}, "true", ""),
        ({}, "false", "API Gateway has no role for logs"),
        (
            {"cloudwatchRoleArn": "arn:aws:iam::1:role/a"},
            "true",
            "note: the stack repl",
        ),
        ({"cloudwatchRoleArn": "arn:aws:iam::1:role/a"}, "false", ""),
        ({"cloudwatchRoleArn": OWN_ROLE}, "true", ""),
    ],
)
def test_the_role_for_logs_of_the_api(aws, role, manages, found):
    aws["GetAccount"] = role
    assert "".join(texts(new(ManageApiGatewayAccount=manages))).startswith(found)
    assert bool(texts(new(ManageApiGatewayAccount=manages))) == bool(found)


# ----------------------------------------------------------------------- the output


@pytest.mark.parametrize(
    ("operation", "subject"),
    [
        ("DescribeAvailabilityZones", "the network"),
        ("DescribeOrderableDBInstanceOptions", "the database"),
        ("GetAccountSettings", "concurrency"),
        ("GetRole", "linked roles"),
        ("GetAccount", "api logs"),
    ],
)
@pytest.mark.parametrize("code", ["AccessDenied", "UnauthorizedOperation"])
def test_what_may_not_be_read_is_a_note(aws, operation, subject, code):
    aws[operation] = (code, "not allowed")
    found = texts(new())
    assert f"note: not checked: {subject}, since {operation} is not allowed" in found
    assert all(each.startswith("note: ") for each in found)


def test_it_fails_for_an_error_and_not_for_a_note(aws, capsys):
    assert preflight.preflight("dev", {}) == 0
    assert "Nothing stands in the way." in capsys.readouterr().out
    aws["GetAccount"] = {"cloudwatchRoleArn": "arn:aws:iam::1:role/a"}
    assert preflight.preflight("dev", {}) == 0
    assert "  note: the stack replaces" in capsys.readouterr().out
    aws["GetRole"] = ("NoSuchEntity", "no role")
    assert preflight.preflight("dev", {}) == 1
    printed = capsys.readouterr().out
    assert "  ERROR: the account has no AWSServiceRoleForRDS" in printed
    assert "2 errors" in printed
    assert "123456789012" not in printed


def test_credentials_that_are_not_valid(aws, capsys):
    aws["GetCallerIdentity"] = ("ExpiredToken", "The token has expired")
    assert preflight.preflight("dev", {}) == 1
    assert "The token has expired" in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_an_unknown_stage(capsys):
    assert preflight.preflight("nothing", {}) == 1
    assert capsys.readouterr().err == (
        "preflight: samconfig.toml has no stage nothing.\n"
    )
