"""What AWS knows this stack's resources by: it stays word for word.

A logical id that changes, or a description that AWS accepts only at creation, makes
CloudFormation create another resource and delete the first one, with its data or its
connections. A new resource is added here; an existing line never changes.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.template import RESOURCES

LOGICAL_IDS = [
    "Vpc",
    "PrivateSubnetA",
    "PrivateSubnetB",
    "PrivateRouteTable",
    "PrivateRoutesA",
    "PrivateRoutesB",
    "S3Endpoint",
    "FunctionSecurityGroup",
    "DatabaseSecurityGroup",
    "CacheSecurityGroup",
    "FunctionToDatabase",
    "DatabaseFromFunction",
    "ProxyToDatabase",
    "DatabaseFromProxy",
    "FunctionToCache",
    "CacheFromFunction",
    "DatabaseSubnets",
    "DatabaseParameters",
    "DatabaseLogs",
    "DatabaseMonitoringRole",
    "Database",
    "DatabaseProxyRole",
    "DatabaseProxy",
    "DatabaseProxyTargets",
    "CacheUser",
    "CacheUserGroup",
    "Cache",
    "QrBucket",
    "QrBucketPolicy",
    "CommonLayer",
    "DependenciesLayer",
    "ApiLogs",
    "ApiGatewayLogRole",
    "ApiGatewayAccount",
    "Api",
    "ApiDomain",
    "ApiDomainMapping",
    "ApiDomainRecord",
    "WebAcl",
    "WebAclAssociation",
    "Schema",
    "GenerateFunction",
    "GenerateLogs",
    "RetrieveFunction",
    "RetrieveLogs",
    "CleanupFunction",
    "CleanupFailures",
    "CleanupLogs",
    "MigrateFunction",
    "MigrateLogs",
    "AlarmTopic",
    "AlarmTopicPolicy",
    "ApiServerErrorsAlarm",
    "GenerateLatencyAlarm",
    "RetrieveLatencyAlarm",
    "GenerateErrorsAlarm",
    "RetrieveErrorsAlarm",
    "CleanupErrorsAlarm",
    "CleanupFailuresAlarm",
    "CleanupMissingAlarm",
    "CleanupBehindAlarm",
    "DatabaseStorageAlarm",
    "DatabaseConnectionsAlarm",
    "Dashboard",
    "Budget",
]
# "Update requires: Replacement" (AWS CloudFormation user guide).
CREATE_ONLY = {
    "FunctionSecurityGroup.GroupDescription": "The functions",
    "FunctionSecurityGroup.SecurityGroupEgress.0.Description": (
        "S3, through its gateway endpoint"
    ),
    "DatabaseSecurityGroup.GroupDescription": "The database, and its proxy",
    "DatabaseSecurityGroup.SecurityGroupEgress.0.Description": "Nowhere",
    "CacheSecurityGroup.GroupDescription": "The cache",
    "CacheSecurityGroup.SecurityGroupEgress.0.Description": "Nowhere",
    "FunctionToDatabase.Description": "To the database",
    "DatabaseFromFunction.Description": "From the functions",
    "ProxyToDatabase.Description": "From the proxy to the database",
    "DatabaseFromProxy.Description": "From the proxy",
    "FunctionToCache.Description": "To the cache",
    "CacheFromFunction.Description": "From the functions",
    "DatabaseParameters.Description": (
        "TLS only, and no statement in the log, since statements hold payloads"
    ),
}
KINDS = {
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::RDS::DBParameterGroup",
}


def descriptions(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield every description below a node, with its place."""
    items = enumerate(node) if isinstance(node, list) else dict(node).items()
    for key, value in items:
        if isinstance(value, dict | list):
            yield from descriptions(value, f"{place}.{key}")
        elif str(key).endswith("Description"):
            yield f"{place}.{key}", value


@pytest.mark.parametrize("name", LOGICAL_IDS)
def test_a_logical_id_stays(name):
    assert name in RESOURCES, f"{name} was renamed or removed: AWS would delete it"


def test_every_logical_id_is_listed():
    assert sorted(RESOURCES) == sorted(LOGICAL_IDS), "add the new resource"


def test_texts_that_aws_accepts_only_at_creation_stay_word_for_word():
    found = {
        place: text
        for name, resource in RESOURCES.items()
        if resource["Type"] in KINDS
        for place, text in descriptions(resource["Properties"], name)
    }
    assert found == CREATE_ONLY
