"""Names by which AWS identifies resources; they must not change.

If a logical id, a type, a name or a description that AWS accepts only at creation
changes, CloudFormation creates another resource and deletes the first one, with its
data or its connections. A new resource is added here; an existing line never changes.
"""

from collections.abc import Iterator
from typing import Any

from tests.support.template import RESOURCES, read

TYPES = {
    "Vpc": "AWS::EC2::VPC",
    "PrivateSubnetA": "AWS::EC2::Subnet",
    "PrivateSubnetB": "AWS::EC2::Subnet",
    "PrivateRouteTable": "AWS::EC2::RouteTable",
    "PrivateRoutesA": "AWS::EC2::SubnetRouteTableAssociation",
    "PrivateRoutesB": "AWS::EC2::SubnetRouteTableAssociation",
    "S3Endpoint": "AWS::EC2::VPCEndpoint",
    "FunctionSecurityGroup": "AWS::EC2::SecurityGroup",
    "DatabaseSecurityGroup": "AWS::EC2::SecurityGroup",
    "CacheSecurityGroup": "AWS::EC2::SecurityGroup",
    "FunctionToDatabase": "AWS::EC2::SecurityGroupEgress",
    "DatabaseFromFunction": "AWS::EC2::SecurityGroupIngress",
    "ProxyToDatabase": "AWS::EC2::SecurityGroupEgress",
    "DatabaseFromProxy": "AWS::EC2::SecurityGroupIngress",
    "FunctionToCache": "AWS::EC2::SecurityGroupEgress",
    "CacheFromFunction": "AWS::EC2::SecurityGroupIngress",
    "DatabaseSubnets": "AWS::RDS::DBSubnetGroup",
    "DatabaseParameters": "AWS::RDS::DBParameterGroup",
    "DatabaseLogs": "AWS::Logs::LogGroup",
    "DatabaseLoginLogs": "AWS::Logs::LogGroup",
    "DatabaseLoginErrors": "AWS::Logs::MetricFilter",
    "DatabaseMonitoringRole": "AWS::IAM::Role",
    "Database": "AWS::RDS::DBInstance",
    "DatabaseProxyRole": "AWS::IAM::Role",
    "DatabaseProxy": "AWS::RDS::DBProxy",
    "DatabaseProxyTargets": "AWS::RDS::DBProxyTargetGroup",
    "CacheUser": "AWS::ElastiCache::User",
    "CacheUserGroup": "AWS::ElastiCache::UserGroup",
    "Cache": "AWS::ElastiCache::ServerlessCache",
    "QrBucket": "AWS::S3::Bucket",
    "QrBucketPolicy": "AWS::S3::BucketPolicy",
    "CommonLayer": "AWS::Serverless::LayerVersion",
    "DependenciesLayer": "AWS::Serverless::LayerVersion",
    "ApiLogs": "AWS::Logs::LogGroup",
    "ApiThrottled": "AWS::Logs::MetricFilter",
    "ApiGatewayLogRole": "AWS::IAM::Role",
    "ApiGatewayAccount": "AWS::ApiGateway::Account",
    "Api": "AWS::Serverless::Api",
    "ApiDomain": "AWS::ApiGateway::DomainName",
    "ApiDomainMapping": "AWS::ApiGateway::BasePathMapping",
    "ApiDomainRecord": "AWS::Route53::RecordSet",
    "WebAcl": "AWS::WAFv2::WebACL",
    "WebAclAssociation": "AWS::WAFv2::WebACLAssociation",
    "Schema": "Custom::Schema",
    "DeploymentRole": "AWS::IAM::Role",
    "GenerateFunction": "AWS::Serverless::Function",
    "GenerateLogs": "AWS::Logs::LogGroup",
    "RetrieveFunction": "AWS::Serverless::Function",
    "RetrieveLogs": "AWS::Logs::LogGroup",
    "RedirectFunction": "AWS::Serverless::Function",
    "RedirectLogs": "AWS::Logs::LogGroup",
    "ManageFunction": "AWS::Serverless::Function",
    "ManageLogs": "AWS::Logs::LogGroup",
    "PagesFunction": "AWS::Serverless::Function",
    "PagesLogs": "AWS::Logs::LogGroup",
    "CleanupFunction": "AWS::Serverless::Function",
    "CleanupFailures": "AWS::SQS::Queue",
    "CleanupLogs": "AWS::Logs::LogGroup",
    "MigrateFunction": "AWS::Serverless::Function",
    "MigrateLogs": "AWS::Logs::LogGroup",
    "VerifyFunction": "AWS::Serverless::Function",
    "VerifyLogs": "AWS::Logs::LogGroup",
    "AlarmTopic": "AWS::SNS::Topic",
    "AlarmTopicPolicy": "AWS::SNS::TopicPolicy",
    "ApiServerErrorsAlarm": "AWS::CloudWatch::Alarm",
    "GenerateLatencyAlarm": "AWS::CloudWatch::Alarm",
    "RetrieveLatencyAlarm": "AWS::CloudWatch::Alarm",
    "GenerateErrorsAlarm": "AWS::CloudWatch::Alarm",
    "RetrieveErrorsAlarm": "AWS::CloudWatch::Alarm",
    "RedirectErrorsAlarm": "AWS::CloudWatch::Alarm",
    "RedirectLatencyAlarm": "AWS::CloudWatch::Alarm",
    "CacheStorageAlarm": "AWS::CloudWatch::Alarm",
    "ManageErrorsAlarm": "AWS::CloudWatch::Alarm",
    "PagesErrorsAlarm": "AWS::CloudWatch::Alarm",
    "CleanupFailuresAlarm": "AWS::CloudWatch::Alarm",
    "CleanupMissingAlarm": "AWS::CloudWatch::Alarm",
    "CleanupBehindAlarm": "AWS::CloudWatch::Alarm",
    "ImagesMissingAlarm": "AWS::CloudWatch::Alarm",
    "OrphansRefusedAlarm": "AWS::CloudWatch::Alarm",
    "DatabaseStorageAlarm": "AWS::CloudWatch::Alarm",
    "DatabaseMemoryAlarm": "AWS::CloudWatch::Alarm",
    "DatabaseConnectionsAlarm": "AWS::CloudWatch::Alarm",
    "CachePassedOverAlarm": "AWS::CloudWatch::Alarm",
    "CacheLoginsAlarm": "AWS::CloudWatch::Alarm",
    "CacheThrottledAlarm": "AWS::CloudWatch::Alarm",
    "Dashboard": "AWS::CloudWatch::Dashboard",
    "Budget": "AWS::Budgets::Budget",
}
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
STACK_ID = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
SUFFIX = {"Suffix": {"Fn::Select": [0, {"Fn::Split": ["-", STACK_ID]}]}}
# A snapshot brings its own, and only a new stack can begin with one.
FROM_SNAPSHOT = ["RestoresSnapshot", {"Ref": "AWS::NoValue"}]
NAMES = {
    "DatabaseLogs.LogGroupName": {
        "Fn::Sub": ["/aws/rds/instance/qr-${Suffix}/postgresql", SUFFIX]
    },
    "DatabaseLoginLogs.LogGroupName": {
        "Fn::Sub": ["/aws/rds/instance/qr-${Suffix}/iam-db-auth-error", SUFFIX]
    },
    "DatabaseLoginErrors.LogGroupName": {"Ref": "DatabaseLoginLogs"},
    "ApiThrottled.LogGroupName": {"Ref": "ApiLogs"},
    "Database.DBInstanceIdentifier": {"Fn::Sub": ["qr-${Suffix}", SUFFIX]},
    "Database.DBName": {"Fn::If": [*FROM_SNAPSHOT, "qrcodes"]},
    "Database.MasterUsername": {"Fn::If": [*FROM_SNAPSHOT, "qr_admin"]},
    "DatabaseProxy.DBProxyName": {"Ref": "Database"},
    "DatabaseProxyTargets.DBProxyName": {"Ref": "DatabaseProxy"},
    "VerifyFunction.FunctionName": {"Fn::Sub": ["CodeDeployHook_qr-${Suffix}", SUFFIX]},
    "CacheUser.UserId": {"Fn::Sub": ["qr-${Suffix}", SUFFIX]},
    "CacheUserGroup.UserGroupId": {"Ref": "CacheUser"},
    "Cache.UserGroupId": {"Ref": "CacheUserGroup"},
    "Cache.ServerlessCacheName": {"Ref": "CacheUser"},
}
NAMING = {place.split(".")[1] for place in NAMES}
DESCRIBED = {
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


def test_logical_ids_and_types_stay():
    found = {name: resource["Type"] for name, resource in RESOURCES.items()}
    assert found == TYPES, "AWS deletes what is renamed; add what is new"


def test_texts_that_aws_accepts_only_at_creation_stay():
    found = {
        place: text
        for name, resource in RESOURCES.items()
        if resource["Type"] in DESCRIBED
        for place, text in descriptions(resource["Properties"], name)
    }
    assert found == CREATE_ONLY


def test_names_of_resources_stay():
    found = {
        f"{name}.{key}": value
        for name, resource in RESOURCES.items()
        for key, value in resource["Properties"].items()
        if key in NAMING
    }
    assert found == NAMES


def test_the_schema_keeps_its_physical_id():
    assert 'events.entrypoint(migrate), "qr-codes-schema"' in read(
        "functions/migrate/app.py"
    )
