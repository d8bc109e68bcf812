"""`make load`: 20,000 requests at this service, and the same at the plain one.

The handlers run in as many processes as there are processors, with PostgreSQL,
Valkey and an S3 that answers at once; so does the plain FastAPI service, by turns.
Then clients send requests to `make run`, to see errors only: its times would be SAM's.
Last, each function starts from what `sam build` builds: a new process, to its first
answer.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import redis

from benchmarks import report
from benchmarks.instant_s3 import instant_s3
from benchmarks.measure import OURS, Budget, Row
from benchmarks.stores import stores
from benchmarks.warm import PLAIN, PlainService, Service, ThisService, bodies
from local.http import Unreachable, call, get
from local.project import EVENTS
from local.sam_build import sam_build
from tests.support.launcher import Launcher

PROCESSES = os.cpu_count() or 1
MIX = 10  # one request in so many is a generate
COUNTS = {"generate": 2_000, "hit": 6_000, "miss": 2_000, "1:9": 6_000}
SERVED = 4_000  # requests to `make run`
CLIENTS = 4
STARTS = 5  # of each function
NO_MORE = Budget("share", 1, 0.5)  # CPU than the plain service
# An event that each function answers without an error; verify only runs on AWS.
EVENT = {
    "generate": "url",
    "retrieve": "health",
    "cleanup": "manual",
    "migrate": "apply",
}
# Measured in the process itself: what it needed, and when it had the first answer.
FIRST_ANSWER = """
import json, sys, time, types
context = types.SimpleNamespace(
    function_name="function", memory_limit_in_mb=512, aws_request_id="first",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:function",
    get_remaining_time_in_millis=lambda: 60000,
)
import app
answer = app.handler(json.load(open(sys.argv[1])), context)
if answer.get("statusCode", 200) >= 400:
    raise SystemExit(f"it answered {answer['statusCode']}")
print(time.process_time())
"""


def measure_handlers(counts: Mapping[str, int]) -> Iterator[Row]:
    """Yield CPU, median and 99th percentile of each kind of request."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with (
        instant_s3() as url,  # forks, so it must start first
        TemporaryDirectory() as folder,
        stores(Path(folder)) as environment,
    ):
        variables = {**inherited, **environment, "S3_ENDPOINT_URL": url}
        cache = redis.Redis(port=int(environment["REDIS_PORT"]))
        ids: dict[str, list[str]] = {}
        for kind, total in counts.items():
            report.progress(f"{total:,} requests: {kind}, in {PROCESSES} processes")
            results = {}
            for name in (OURS, PLAIN):
                if kind == "miss":
                    cache.flushall()
                results[name] = _in_processes(
                    name, kind, total, ids.get(name, []), variables
                )
                if kind == "generate":
                    ids[name] = results[name]["ids"]
            yield from _rows(kind, results)


def _in_processes(
    name: str, kind: str, total: int, ids: Sequence[str], variables: Mapping[str, str]
) -> dict[str, Any]:
    """Return the latencies and the CPU seconds of all requests, and the new ids."""
    each = total // PROCESSES
    command = [sys.executable, "-m", "benchmarks.load", "--worker", name, kind]
    workers = [
        subprocess.Popen(
            [*command, str(each)],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    shares = [json.dumps(ids[number::PROCESSES]) for number in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        outputs = pool.map(subprocess.Popen.communicate, workers, shares)
        texts = [output for output, _ in outputs]
    if any(worker.returncode for worker in workers):
        raise SystemExit(f"{name}: a request failed")
    found = [json.loads(text.splitlines()[-1]) for text in texts]
    return {
        "seconds": [each for one in found for each in one["seconds"]],
        "cpu": sum(one["cpu"] for one in found),
        "ids": [qr_id for one in found for qr_id in one["ids"]],
    }


def _rows(kind: str, results: Mapping[str, dict[str, Any]]) -> Iterator[Row]:
    cpu, half, last = {}, {}, {}
    for name, result in results.items():
        cuts = quantiles(result["seconds"], n=100)
        cpu[name] = 1000 * result["cpu"] / len(result["seconds"])
        half[name], last[name] = 1000 * median(result["seconds"]), 1000 * cuts[98]
    yield Row("a request", kind, "ms", cpu, PLAIN, NO_MORE)
    yield Row("median", kind, "wall ms", half, PLAIN)
    yield Row("99th percentile", kind, "wall ms", last, PLAIN)


def work(name: str, kind: str, count: int, ids: list[str]) -> dict[str, Any]:
    """Send requests from this process; each must succeed."""
    service: Service = ThisService() if name == OURS else PlainService()
    texts, rng = bodies(), Random(os.getpid())  # noqa: S311
    made: list[str] = []
    seconds: list[float] = []
    service.generate(next(texts))  # the first request is the cold start
    service.retrieve(service.generate(next(texts))["qr_id"])
    if kind == "hit":
        ids = ids[:100]
        for qr_id in ids:
            service.retrieve(qr_id)
    cpu = time.process_time()
    for number in range(count):
        start = time.perf_counter()
        if kind == "generate" or (kind == "1:9" and number % MIX == 0):
            made.append(service.generate(next(texts))["qr_id"])
        elif kind == "miss":
            service.retrieve(ids[number])
        else:
            service.retrieve(rng.choice(ids or made))
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "cpu": time.process_time() - cpu, "ids": made}


# --------------------------------------------------------------------------- make run


def serve(requests: int) -> Counter[int]:
    """Send requests to `make run`, a tenth of them generates; return the statuses."""
    with TemporaryDirectory() as folder:
        launcher = Launcher(Path(folder) / "state").start()
        try:
            with ThreadPoolExecutor(CLIENTS) as pool:
                share = requests // CLIENTS
                counted = pool.map(
                    lambda _: _client(launcher.url, share), range(CLIENTS)
                )
                return sum(counted, Counter())
        finally:
            launcher.discard()


def _client(url: str, requests: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    made: list[str] = []
    texts = bodies()
    for number in range(requests):
        try:
            if number % MIX == 0 or not made:
                answer = call("POST", f"{url}/generate", next(texts).encode())
                made += [answer.json["qr_id"]] if answer.status == 201 else []
            else:
                answer = get(f"{url}/retrieve/{made[-1]}")
            statuses[answer.status] += 1
        except Unreachable:
            statuses[0] += 1
    return statuses


# ------------------------------------------------------------------------- cold starts


def measure_starts() -> Iterator[tuple[str, float, float]]:
    """Yield each function with wall and CPU ms, from a new process to its answer."""
    python = Path(f"{sys.prefix}-lambda") / "bin" / "python"  # it has boto3 alone
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with TemporaryDirectory() as folder, stores(Path(folder)) as environment:
        built = Path(folder) / "build"
        sam_build(built)
        layers = [str(layer / "python") for layer in built.glob("*Layer")]
        for verb, name in EVENT.items():
            code = built / f"{verb.title()}Function"
            path = os.pathsep.join([str(code), *layers])
            variables = {**inherited, **environment, "PYTHONPATH": path}
            if verb == "migrate":
                variables["DATABASE_URL"] = environment["PLAIN_DATABASE_URL"]
            event = EVENTS / verb / f"{name}.json"
            wall, cpu = [], []
            for _ in range(STARTS):
                start = time.perf_counter()
                done = subprocess.run(
                    [str(python), "-c", FIRST_ANSWER, str(event)],
                    env=variables,
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                wall.append(1000 * (time.perf_counter() - start))
                cpu.append(1000 * float(done.stdout.splitlines()[-1]))
            yield verb, median(wall), median(cpu)


def main() -> int:
    """Run the load; return 0 without an error and if every budget is kept, else 1."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of all")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, kind, count = options.worker
        print(json.dumps(work(name, kind, int(count), json.load(sys.stdin))))
        return 0
    share = 20 if options.quick else 1
    counts = {kind: count // share for kind, count in COUNTS.items()}
    rows = list(measure_handlers(counts))
    report.progress(f"{SERVED // share:,} requests to make run")
    statuses = serve(SERVED // share)
    report.progress("cold starts")
    starts = list(measure_starts())
    report.print_tables(rows)
    print("\ncold start, from a new process to its first answer (ms)")
    for verb, wall, cpu in starts:
        print(f"{verb:>14}{wall:>10.0f} wall{cpu:>10.0f} CPU")
    errors = sum(
        number for status, number in statuses.items() if status not in (200, 201)
    )
    total = sum(counts.values()) + sum(statuses.values())
    print(f"\n{total:,} requests, {errors} errors")
    late = [f"{row.topic}, {row.subject}" for row in rows if row.verdict == "MISSED"]
    for missed in late:
        print(f"MISSED: {missed}", file=sys.stderr)
    return int(bool(errors or late))


if __name__ == "__main__":
    sys.exit(main())
