"""A thousand codes from a CSV file, by the client of client/, as a new user has it."""

import csv
import os
import random
import signal
import subprocess
import time

import pytest
import zxingcpp
from PIL import Image

ROWS = 1000
KILLS = 10


@pytest.fixture
def qr_codes(client):
    return client / "qr-codes"


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a file of ROWS rows, and returns their texts."""

    def write(name):
        texts = [f"https://example.com/{name}/{number}" for number in range(ROWS)]
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["ref", "data", "expiration_hours"])
            writer.writerows([f"{n}", text, 48] for n, text in enumerate(texts))
        return texts

    return write


def results(folder, name):
    path = folder / f"{name}.results.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def stored(running, name):
    """Return how many rows the database has of a file, and of how many texts."""
    return running.query(
        "SELECT count(*), count(DISTINCT data) FROM qr_codes WHERE data LIKE %s",
        f"https://example.com/{name}/%",
    )


def known(folder):
    """Return how many codes the results of the killed runs have."""
    path = folder / "killed.results.csv"
    return len(results(folder, "killed")) if path.exists() else 0


def environment(running):
    return {**running.environment(), "QR_URL": running.url, "TERM": "xterm"}


def test_a_thousand_rows_become_a_thousand_codes(
    running, qr_codes, table, tmp_path, measured
):
    table("tickets")
    begin = time.monotonic()
    done = subprocess.run(
        # A terminal of its own, in which the bar is drawn.
        [
            "script",
            "--quiet",
            "--return",
            "--command",
            f"{qr_codes} tickets.csv",
            "log",
        ],
        cwd=tmp_path,
        env=environment(running),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    measured(f"{ROWS:,} codes of a CSV file: {time.monotonic() - begin:.1f} s")
    assert f"{ROWS}/{ROWS}" in done.stdout, "there is a progress bar"
    assert "rows/s" in done.stdout
    assert {line["status"] for line in results(tmp_path, "tickets")} == {"201"}
    assert stored(running, "tickets") == [(ROWS, ROWS)]


def test_killed_ten_times_it_makes_each_code_once(
    running, qr_codes, table, tmp_path, measured
):
    texts = table("killed")
    command = [qr_codes, "killed.csv", "--images", "images"]
    left = []
    for kill in range(1, KILLS + 1):
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(running),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        moment = time.monotonic() + random.uniform(0.2, 3)
        # Sooner on a fast machine, so that something is left for every kill.
        while time.monotonic() < moment and known(tmp_path) < kill * 0.9 * ROWS / KILLS:
            time.sleep(0.01)
        assert process.poll() is None, f"it ended before it was killed: {left}"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        left.append(known(tmp_path))
    measured(f"codes known after each kill: {left}")
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(running),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, (left, done.stderr)
    lines = results(tmp_path, "killed")
    assert [line["data"] for line in lines] == texts
    assert len({line["qr_id"] for line in lines}) == ROWS
    assert stored(running, "killed") == [(ROWS, ROWS)]
    images = tmp_path / "images"
    for line in lines:
        with Image.open(images / line["image"]) as image:
            assert zxingcpp.read_barcode(image.convert("L")).text == line["data"]
    named = {line["image"] for line in lines}
    assert {path.name for path in images.iterdir() if path.suffix == ".png"} == named
