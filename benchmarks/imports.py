"""The cost of importing a function: CPU of new interpreters, minus their start.

Lambda imports from compiled files, so these are created first. The naive set is what
the service would import with the usual choice of libraries. boto3 also imports awscrt
and OpenSSL if they are installed, as in this virtual environment; they are hidden.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial

from benchmarks.measure import OURS, Budget, Row, interleave

NOTHING = "import sys; sys.modules.update(awscrt=None, OpenSSL=None)"
NAIVE = """
import boto3, psycopg2, qrcode, redis
import PIL.Image
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
APIGatewayRestResolver(enable_validation=True)
boto3.client("s3")
"""
FUNCTION = """
sys.path[:0] = ["functions/{}", "layers/common"]
import app
"""
BUDGETS = {
    "retrieve": Budget("share", 0.5, 0.35),
    "redirect": Budget("share", 0.5, 0.35),
    "generate": Budget("share", 0.8, 0.5),
    "cleanup": None,
}
ENVIRONMENT = {
    "PATH": os.defpath,
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",  # otherwise boto3 searches for it
    "AWS_SECRET_ACCESS_KEY": "none",
    "POWERTOOLS_SERVICE_NAME": "qr-service",
    "POWERTOOLS_METRICS_NAMESPACE": "QRService",
}


def measure_imports(rounds: int) -> Iterator[Row]:
    """Yield a row for each function, imported from its source folders."""
    functions = {name: FUNCTION.format(name) for name in BUDGETS}
    # -I: ignores the PYTHON... variables of this process.
    yield from compare_imports(functions, NAIVE, [sys.executable, "-I"], rounds)


def compare_imports(
    functions: Mapping[str, str], naive: str, python: list[str], rounds: int
) -> Iterator[Row]:
    """Yield a row for each function, compared with the naive set.

    `functions` are programs that import one function each, and `naive` is a program
    that imports the naive set. `python` is the command that runs them with `-c`.
    """
    programs = {**functions, "nothing": "", "naive set": naive}
    measures = {
        name: partial(_cpu_milliseconds, [*python, "-c", NOTHING + "\n" + program])
        for name, program in programs.items()
    }
    for measure in measures.values():
        measure()  # compiles, and warms the disk's cache
    medians = interleave(measures, rounds)
    start = medians["nothing"]
    for name in functions:
        values = {
            OURS: medians[name] - start,
            "naive set": medians["naive set"] - start,
        }
        yield Row("import", name, "ms", values, "naive set", BUDGETS.get(name))


def _cpu_milliseconds(command: list[str]) -> float:
    """Return the CPU milliseconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return 1000 * (user + system)
