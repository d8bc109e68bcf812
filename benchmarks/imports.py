"""What importing a function costs: CPU of fresh interpreters, their start deducted.

Lambda imports from compiled files, so these are made first. The naive set is what the
service would import by the plain choice of libraries. boto3 imports awscrt and OpenSSL
as well where they happen to be, as in this virtual environment; they are hidden.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.measure import OURS, Budget, Row, interleave

HIDE = "import sys; sys.modules.update(awscrt=None, OpenSSL=None)"
NAIVE = f"""{HIDE}
import boto3, psycopg2, qrcode, redis
import PIL.Image
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
APIGatewayRestResolver(enable_validation=True)
boto3.client("s3")
"""
FUNCTION = (
    HIDE
    + """
sys.path[:0] = ["functions/{}", "layers/common"]
import app
"""
)
BUDGETS = {
    "retrieve": Budget("share", 0.5, 0.35),
    "generate": Budget("share", 0.8, 0.5),
    "cleanup": None,
}
ENVIRONMENT = {
    "PATH": os.defpath,
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",  # else boto3 goes looking for it
    "AWS_SECRET_ACCESS_KEY": "none",
    "POWERTOOLS_SERVICE_NAME": "qr-service",
    "POWERTOOLS_METRICS_NAMESPACE": "QRService",
}


def measure_imports(rounds: int) -> Iterator[Row]:
    """A row a function."""
    programs = {name: FUNCTION.format(name) for name in BUDGETS}
    programs |= {"nothing": HIDE, "naive set": NAIVE}
    measures: dict[str, Callable[[], float]] = {}
    for name, program in programs.items():
        measures[name] = partial(_cpu_milliseconds, program)
        measures[name]()  # compiles
    medians = interleave(measures, rounds)
    start = medians["nothing"]
    for name, budget in BUDGETS.items():
        values = {
            OURS: medians[name] - start,
            "naive set": medians["naive set"] - start,
        }
        yield Row("import", name, "ms", values, "naive set", budget)


def _cpu_milliseconds(program: str) -> float:
    """CPU milliseconds of a fresh interpreter that runs `program`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # -I: nothing of this process's PYTHON... variables.
    subprocess.run([sys.executable, "-I", "-c", program], check=True, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return 1000 * (user + system)
