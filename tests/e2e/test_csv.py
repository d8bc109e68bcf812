"""`qr-codes` at the running service: a code of each row of a CSV file."""

import ast
import csv
import os
import signal
import subprocess
import sys

import pytest
import zxingcpp
from PIL import Image
from qr_client import Client

from local import http
from local.processes import wait_until
from local.project import ROOT

COMMAND = [sys.executable, "-m", "qr_client.command"]
HEAD = "ref,data,label,width,content.type,content.ssid,content.security\n"
ROWS = (
    "first,https://example.com/1,=1+1,,,,\n"
    "second,https://example.com/2,,9,,,\n"
    "wifi,,Guests,400,wifi,guests,none\n"
    "third,https://example.com/3,,wide,,,\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "codes.csv").write_text(HEAD + ROWS)
    return tmp_path


def environment(service):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT / "client" / "src"), "QR_URL": service}


def run(service, folder, *options):
    return subprocess.run(
        [*COMMAND, "codes.csv", *options],
        cwd=folder,
        env=environment(service),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def results(folder):
    path = folder / "codes.results.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {line["ref"]: line for line in csv.DictReader(file)}


def text_of(path):
    with Image.open(path) as image:
        return zxingcpp.read_barcode(image.convert("L")).text


def test_every_row_has_a_code_or_says_what_is_wrong(service, folder):
    done = run(service, folder, "--images", "images")
    assert done.returncode == 1
    first, second, last = done.stdout.splitlines()
    assert first.startswith("row 3, column width: width must be 25..4096")
    assert second.startswith("row 5, column width: width must be an integer")
    assert last == "2 of 4 codes are in codes.results.csv."
    found = results(folder)
    assert {ref: line["status"] for ref, line in found.items()} == {
        "first": "201",
        "second": "400",
        "wifi": "201",
        "third": "400",
    }
    assert found["first"]["label"] == "'=1+1", "no spreadsheet runs it"
    images = folder / "images"
    assert text_of(images / found["first"]["image"]) == "https://example.com/1"
    assert text_of(images / found["wifi"]["image"]).startswith("WIFI:")
    assert sorted(path.name for path in images.iterdir()) == [
        "2-first.png",
        "4-wifi.png",
    ]


def test_a_row_that_was_mended_is_made_and_the_others_stay(service, folder):
    run(service, folder)
    before = results(folder)
    mended = ROWS.replace(",9,", ",90,").replace(",wide,", ",,")
    (folder / "codes.csv").write_text(HEAD + mended)
    done = run(service, folder)
    assert done.returncode == 0
    assert done.stderr.startswith("2 of 4 codes exist already.")
    after = results(folder)
    assert [*after] == ["first", "second", "wifi", "third"]
    assert {line["status"] for line in after.values()} == {"201"}
    for ref in ("first", "wifi"):
        assert after[ref] == before[ref]
    again = run(service, folder)
    assert again.returncode == 0
    assert results(folder) == after


def test_images_that_the_folder_lacks_are_fetched(service, folder):
    run(service, folder)
    codes = results(folder)
    assert {line["image"] for line in codes.values()} == {""}
    done = run(service, folder, "--images", "images")
    assert "no image" not in done.stderr
    images = folder / "images"
    assert text_of(images / "2-first.png") == "https://example.com/1"
    assert results(folder)["wifi"]["image"] == "4-wifi.png"
    assert [results(folder)[ref]["qr_id"] for ref in codes] == [
        line["qr_id"] for line in codes.values()
    ]

    (images / "2-first.png").unlink()
    (images / "4-wifi.png").unlink()
    Client(service).end(codes["wifi"]["qr_id"])
    done = run(service, folder, "--images", "images")
    assert done.returncode == 1, "two rows are refused"
    assert "1 of them have ended" in done.stderr
    assert [path.name for path in images.iterdir()] == ["2-first.png"]
    assert results(folder)["wifi"]["image"] == ""


def test_a_lost_results_file_makes_no_code_twice(service, folder):
    run(service, folder)
    before = results(folder)
    (folder / "codes.results.csv").unlink()
    run(service, folder)
    assert results(folder)["first"]["qr_id"] == before["first"]["qr_id"]


def test_a_dry_run_says_what_is_wrong_and_stores_nothing(service, folder):
    done = run(service, folder, "--dry-run")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == [
        "row 3, column width",
        "row 5, column width",
    ]
    assert lines[2] == "2 of 4 rows can be made; nothing was stored."
    assert [path.name for path in folder.iterdir()] == ["codes.csv"]


def test_defaults_are_those_of_all_rows(service, folder):
    (folder / "defaults.json").write_text('{"format": "svg", "border": 6}')
    (folder / "codes.csv").write_text("data\nhttps://example.com/svg\n")
    options = ("--defaults", "defaults.json", "--images", "images")
    assert run(service, folder, *options).returncode == 0
    assert (folder / "images" / "2.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("data,colour\nx,red\n", [], "Column 2, 'colour', is no field"),
        ("data\nx\n", ["--defaults", "none.json"], "none.json"),
        ("data\nx\n", ["--url", "http://127.0.0.1:1"], "does not answer"),
        ("data\nx\n", ["--url", "http://qr.example.com"], "use https"),
    ],
)
def test_what_cannot_begin_says_why(service, folder, text, options, words):
    (folder / "codes.csv").write_text(text)
    done = run(service, folder, *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "codes.results.csv").exists()


def test_a_mistake_in_the_defaults_refuses_all(service, folder):
    (folder / "defaults.json").write_text('{"colour": "red"}')
    done = run(service, folder, "--defaults", "defaults.json")
    assert done.returncode == 2
    assert "defaults.colour is not a field" in done.stderr


def test_ctrl_c_ends_it_and_says_how_to_go_on(service, folder):
    rows = "".join(f"{n},https://example.com/{n},,,,,\n" for n in range(10_000))
    (folder / "codes.csv").write_text(HEAD + rows)
    with subprocess.Popen(
        [*COMMAND, "codes.csv"],
        cwd=folder,
        env=environment(service),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        path = folder / "codes.results.csv"
        assert wait_until(lambda: path.exists() and path.stat().st_size > 1000, 60)
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
    assert process.returncode == 130
    assert "The same command goes on where it was." in output
    assert 0 < len(results(folder)) < 10_000


def test_help_names_every_option(service, folder):
    done = run(service, folder, "--help")
    assert done.returncode == 0
    for option in ("--url", "--output", "--images", "--defaults", "--dry-run"):
        assert option in done.stdout
    assert "QR_API_KEY" in done.stdout


def test_the_client_does_what_its_documentation_shows(service):
    program = (ROOT / "client" / "README.md").read_text().split("```python\n")[1]
    program = program.partition("```")[0].replace("https://qr.example.com", service)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(service),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    created, problem = done.stdout.splitlines()
    assert problem == "width must be 25..4096."
    qr_id = ast.literal_eval(created)["qr_id"]
    assert http.get(f"{service}/retrieve/{qr_id}").status == 410, "it ends the code"
