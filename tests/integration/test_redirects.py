"""Printed codes work without this service, from the files of `make redirects`."""

import csv
import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from local import http, redirects
from local.processes import free_port, wait_until
from local.project import ROOT
from tests.support.gateway import post_generate
from tests.support.template import read

MANY = 1000
ODD = (
    "?a=$1&b=${c}",
    "?semi;colon",
    "?quote='x'",
    "#part",
    "?%22%5C",
    "?{}".format("x" * 900),
)
# Debian has it where only root looks.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
needs_nginx = pytest.mark.skipif(
    NGINX is None and not os.environ.get("CI"), reason="make packages installs nginx"
)
INSERT = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at, slug, printed, count, targets, kept_until, expired_url)
    SELECT gen_random_uuid(), %s, %s, '{}', 'k', 'image/png', now() - interval '2 days',
        now() + %s::interval, %s, %s, true, '[]', now() + interval '3 days', %s
"""


@pytest.fixture
def store(functions, database):
    """Return a function that stores a dynamic code; it returns what is printed."""

    def store(number, target, *, ends="1 day", over=None, owner="shop"):
        slug = f"{number:08}"
        printed = f"https://qr.example.org/base/s/{slug}"
        database(INSERT, owner, target, ends, slug, printed, over)
        return printed

    return store


@pytest.fixture
def write(servers, tmp_path):
    """Return a function that writes the files, and returns the folder."""

    def write(*arguments):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "local.redirects", "--to", str(tmp_path)),
                *("--database", servers.postgresql.url("qr_admin"), *arguments),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return tmp_path

    return write


@pytest.fixture
def nginx(tmp_path):
    """Return a function that starts nginx with a folder's file, as the guide says."""
    started = []

    def start(folder):
        (block,) = re.findall(
            r"```nginx\n(.*?)```", read("docs/operations.md"), re.DOTALL
        )
        port = free_port()
        block = block.replace("/etc/nginx", str(folder))
        block = block.replace("listen 80;", f"listen 127.0.0.1:{port};")
        paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        of_test = "".join(f"{name}_temp_path {tmp_path}/{name};\n" for name in paths)
        file = tmp_path / "nginx.conf"
        file.write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid;\n"
            f"error_log {tmp_path}/error.log; events {{}}\n"
            f"http {{ access_log off; {of_test} {block} }}\n"
        )
        command = [NGINX, "-c", str(file), "-p", str(tmp_path)]
        with (tmp_path / "nginx.log").open("w") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        url = f"http://127.0.0.1:{port}"
        assert wait_until(lambda: _answers(url), 30), (
            tmp_path / "nginx.log"
        ).read_text()
        return url

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def _answers(url):
    try:
        return http.get(url).status == 404
    except http.Unreachable:
        return False


@needs_nginx
def test_a_thousand_printed_codes_lead_to_their_targets(store, write, nginx):
    targets = [f"https://example.com/{n}{ODD[n % len(ODD)]}" for n in range(MANY)]
    printed = [store(number, target) for number, target in enumerate(targets)]
    url = nginx(write())
    with closing(HTTPConnection(urlsplit(url).netloc)) as connection:
        for short_url, target in zip(printed, targets, strict=True):
            connection.request("GET", urlsplit(short_url).path)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.headers["Location"]) == (302, target)
    assert http.get(f"{url}/base/s/ZZZZZZZZ").status == 404


def test_the_table_has_what_leads_somewhere(functions, store, write, database):
    made = post_generate(
        functions.generate,
        {"data": "https://example.com/,'", "dynamic": True, "expiration_hours": 1},
    ).body
    living = store(1, "https://example.com/1", over="https://example.com/over")
    ended = store(
        2, "https://example.com/2", ends="-1 day", over="https://example.com/x"
    )
    store(3, "https://example.com/3", ends="-1 day")  # leads nowhere
    folder = write()
    with (folder / "redirects.csv").open(newline="") as file:
        rows = {row["short_url"]: row for row in csv.DictReader(file)}
    assert {url: row["target"] for url, row in rows.items()} == {
        made["short_url"]: "https://example.com/,'",
        living: "https://example.com/1",
        ended: "https://example.com/x",
    }
    assert rows[made["short_url"]]["expires_at"] == made["expires_at"]
    assert rows[made["short_url"]]["qr_id"] == made["qr_id"]
    assert rows[living]["expired_url"] == "https://example.com/over"
    assert (folder / "redirects.csv").stat().st_mode & 0o777 == 0o600
    assert {file.name for file in folder.iterdir()} == {
        "redirects.csv",
        "redirects.nginx",
    }


def test_those_of_one_owner(store, write):
    store(1, "https://example.com/1", owner="depot")
    store(2, "https://example.com/2")
    assert "/2" not in (write("--owner", "depot") / "redirects.csv").read_text()


def test_without_a_database_it_says_why(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "local.redirects", "--to", str(tmp_path / "new")),
            *("--database", "host=127.0.0.1 port=1 connect_timeout=1"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr[:11]) == (2, "redirects: ")
    assert list(tmp_path.rglob("redirects.*")) == []


def test_a_line_of_nginx():
    redirect = redirects.Redirect(
        "https://qr.example.org/s/7K2M9QWD", 'a$b"c\\d;e', None, "", "", ""
    )
    assert redirects.in_nginx(redirect) == (
        '    "/s/7K2M9QWD" "a${qr_dollar}b\\"c\\\\d;e";\n'
    )
