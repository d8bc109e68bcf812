"""`make rehearse` detects what would fail on AWS: each fault is put into a copy.

The rehearsal must end at the step that checks for the fault, and print the reason.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass

import pytest

from local.project import ROOT

TIMEOUT = 600  # seconds, for one rehearsal


@dataclass(frozen=True)
class Fault:
    """A replacement of text in a file, and how the rehearsal then ends."""

    file: str
    before: str
    after: str
    step: str
    reason: str


def requirement(name: str) -> str:
    """Return the line of a package of the layer; its hashes follow in the file."""
    lines = (ROOT / "requirements/layer.txt").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}==")]
    return line


def left_out(name: str) -> str:
    """Return the same line with a condition that is never true."""
    return requirement(name).replace(" \\", ' ; python_version < "3" \\')


SCHEDULE = """      Events:
        Hourly:
          Type: ScheduleV2
          Properties:
            OmitName: true # a fixed name would collide between stages
            PermissionsBoundary: !If
              - HasBoundary
              - !Ref PermissionsBoundaryArn
              - !Ref AWS::NoValue
            ScheduleExpression: !Ref CleanupSchedule
            RetryPolicy: # for a run that could not start
              MaximumRetryAttempts: 3
              MaximumEventAgeInSeconds: 3000
            DeadLetterConfig: {Arn: !GetAtt CleanupFailures.Arn}
"""
LOG_SETTINGS = """        log_min_messages: log # an error message can quote a value
        log_min_error_statement: panic
"""
FAULTS = {  # long rehearsals are not adjacent: one process runs several in a row
    "the schedule is removed": Fault(
        "template.yaml", SCHEDULE, "", "The schedule erases", "No cleanup erased it"
    ),
    "a migration has an error": Fault(
        "functions/migrate/migrations/0001_codes.sql",
        "GRANT USAGE ON SCHEMA public TO qr_app;",
        "GRANT USAGE ON SCHEMA publik TO qr_app;",
        "The stack is created",
        "0001_codes failed, InvalidSchemaName",
    ),
    "the retrieve role loses s3:GetObject": Fault(
        "template.yaml",
        "Action: s3:GetObject\n",
        "Action: s3:GetObjectTagging\n",
        "The presigned URL returns an image",
        "AccessDenied",
    ),
    "the database's certificate is not verified": Fault(
        "layers/common/qr_service/stores/database.py",
        '"sslmode": "verify-full",\n            "sslrootcert": settings.ca_bundle,',
        '"sslmode": "require",',
        "With the layer's authorities, functions refuse",
        "not 503",
    ),
    "a package is missing from the layer": Fault(
        "requirements/layer.txt",
        requirement("redis"),
        left_out("redis"),
        "The first requests succeed",
        "not 200",
    ),
    "the bucket policy allows plain HTTP": Fault(
        "template.yaml",
        "Condition: {Bool: {aws:SecureTransport: 'false'}}",
        "Condition: {Bool: {aws:SecureTransport: 'never'}}",
        "The bucket's policy refuses the URL over plain HTTP",
        "not 403 AccessDenied: 200",
    ),
    "a package that another one needs is missing from the layer": Fault(
        "requirements/layer.txt",
        requirement("typing-extensions"),
        left_out("typing-extensions"),
        "The stack is created",
        "Schema: ",
    ),
    "the cache's certificate is not verified": Fault(
        "layers/common/qr_service/stores/cache.py",
        '"ssl_ca_certs": settings.ca_bundle',
        '"ssl_cert_reqs": "none"',
        "With the layer's authorities, functions refuse",
        "not 503",
    ),
    "a release of a layer publishes no version": Fault(
        "template.yaml",
        "      PublishLambdaVersion: true # publishes",
        "      # publishes",
        "A release that changes only a layer",
        "The alias runs the old version",
    ),
    "the functions may connect to the database, not to its proxy": Fault(
        "template.yaml",
        "!Select [6, !Split [':', !GetAtt DatabaseProxy.DBProxyArn]]",
        "!GetAtt Database.DbiResourceId",
        "The first requests succeed",
        "rds-db:connect to prx-",
    ),
    "the proxy may not connect to the database": Fault(
        "template.yaml",
        "dbuser:${Database.DbiResourceId}/qr_retrieve",
        "dbuser:${Database.DbiResourceId}/qr_admin",
        "The first requests succeed",
        "rds-db:connect to db-",
    ),
    "the cache's user may not use a command of the functions": Fault(
        "template.yaml",
        "-@all +get +set +eval +ping",
        "-@all +get +set +ping",
        "POST /generate: 201",
        "The code is not in the cache",
    ),
    "the cache's user may not count scans": Fault(
        "template.yaml",
        "+hincrby",
        "+hincrbyfloat",
        "A printed code leads to a target that changes",
        '"people":0',
    ),
    "the role of redirect may not connect to its database": Fault(
        "template.yaml",
        "dbuser:${Id}/qr_redirect",
        "dbuser:${Id}/qr_retrieve",
        "A printed code leads to a target that changes",
        "unavailable",
    ),
    "the cache does not know the user of the functions": Fault(
        "template.yaml",
        "REDIS_USERNAME: !Ref CacheUser",
        "REDIS_USERNAME: somebody",
        "Roles that use the cache may connect",
        "may not connect to",
    ),
    "the cache is at another port": Fault(
        "template.yaml",
        "REDIS_PORT: !GetAtt Cache.Endpoint.Port",
        "REDIS_PORT: '1'",
        "POST /generate: 201",
        '"cache":"unavailable"',
    ),
    "a function does not wait for the targets of the proxy": Fault(
        "template.yaml",
        "database-proxy-targets: !If [IsProduction, !Ref DatabaseProxyTargets, none]",
        "database-proxy-targets: none",
        "The first requests succeed",
        "Function did not wait for the targets",
    ),
    "the hook may not report to CodeDeploy": Fault(
        "template.yaml",
        "Action: codedeploy:PutLifecycleEventHookExecutionStatus",
        "Action: codedeploy:GetDeployment",
        "The pre-traffic hook stops a broken version",
        "It reports nothing",
    ),
    "the hook calls no version": Fault(
        "template.yaml",
        "Action: lambda:InvokeFunction\n",
        "Action: lambda:GetFunction\n",
        "The pre-traffic hook stops a broken version",
        "It refuses a good version",
    ),
    "the hook does not look at the answers": Fault(
        "functions/verify/app.py",
        '"Failed" if faults else "Succeeded"',
        '"Succeeded"',
        "The pre-traffic hook stops a broken version",
        "It accepts a broken version",
    ),
    "the stage's name decides what production is": Fault(
        "template.yaml",
        "IsProduction: !Equals [!Ref Production, 'true']",
        "IsProduction: !Equals [!Ref Stage, prod]",
        "A second production stage",
        "The second stage lacks",
    ),
    "a name is the same in every stage": Fault(
        "template.yaml",
        "        - CodeDeployHook_qr-${Suffix}\n",
        "        - CodeDeployHook_qr\n",
        "A second production stage",
        "CodeDeployHook_qr already exists",
    ),
    "the database is protected before it works": Fault(
        "template.yaml",
        "DeletionProtection: !Ref ProtectDatabase",
        "DeletionProtection: true",
        "The stack is created",
        "A first deployment that fails could not be deleted",
    ),
    "the boundary lacks a right of a function": Fault(
        ".github/oidc-role.yaml",
        "Action: [s3:DeleteObject, s3:GetObject, s3:PutObject]",
        "Action: [s3:DeleteObject, s3:PutObject]",
        "The presigned URL returns an image",
        "AccessDenied",
    ),
    "generate may not read images": Fault(
        "template.yaml",
        "Action: [s3:PutObject, s3:GetObject, s3:DeleteObject]",
        "Action: [s3:PutObject, s3:DeleteObject]",
        "The answer includes a PDF of a contact",
        "503",
    ),
    "a limit is for a route that does not exist": Fault(
        "template.yaml",
        "ResourcePath: /~1health",
        "ResourcePath: /~1healthy",
        "More simultaneous requests than the limit",
        "No request was refused",
    ),
    "PostgreSQL logs the statements of errors": Fault(
        "template.yaml",
        LOG_SETTINGS,
        "",
        "No log contains a payload",
        "PostgreSQL's log shows payloads",
    ),
}


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the project, with uncommitted changes."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True)
    archive = subprocess.run(
        ["tar", "--null", "--files-from=-", "--ignore-failed-read", "--create"],
        cwd=ROOT,
        input=names.stdout,
        check=True,
        capture_output=True,
    )
    subprocess.run(["tar", "--extract"], cwd=tmp_path, input=archive.stdout, check=True)
    return tmp_path


@pytest.mark.parametrize("name", FAULTS)
def test_the_rehearsal_ends_at_the_step_that_finds_the_fault(copy, name):
    fault = FAULTS[name]
    file = copy / fault.file
    text = file.read_text()
    assert fault.before in text
    file.write_text(text.replace(fault.before, fault.after))
    # Not below tmp_path, because that path is too long for a socket.
    with tempfile.TemporaryDirectory(
        prefix="qr-broken-", ignore_cleanup_errors=True
    ) as folder:
        done = subprocess.run(
            ["env", f"TMPDIR={folder}", sys.executable, "-m", "rehearsal"],
            cwd=copy,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    _, failed, rest = done.stdout.partition("FAILED  ")
    assert failed, done.stdout
    assert (rest.startswith(fault.step), done.returncode) == (True, 1), done.stdout
    assert fault.reason in rest, done.stdout
