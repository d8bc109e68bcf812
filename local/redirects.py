"""`make redirects`: where printed codes lead, in files that work without this service.

redirects.csv is for any program; redirects.nginx is for a web server at the address
that is printed, and docs/operations.md shows how to use it. Both are as of now: a code
that ends or changes later does so here only. On AWS, give the database as the tunnel
reaches it, in the words of libpq: DATABASE='host=... user=qr_admin dbname=qrcodes ...'.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from local.processes import LocalError
from local.project import ROOT
from local.stack import any_stack

TABLE, SERVER = "redirects.csv", "redirects.nginx"
PAGE = 10_000  # rows that are fetched at once, and shown as progress
SELECT = """
    SELECT printed, CASE WHEN expires_at > now() THEN data ELSE expired_url END,
        expired_url, expires_at, id, owner
    FROM qr_codes
    WHERE slug IS NOT NULL AND erased_at IS NULL
        AND coalesce(kept_until, expires_at) > now()
        AND owner = coalesce(%(owner)s, owner)
    ORDER BY slug
"""
# A variable is the only way to write a dollar: nginx expands those in the values.
HEAD = """\
# Where the printed codes of this service lead, as of {now}.
# Include it within http {{ }}; $qr_target is "" for an address that is not listed.
map_hash_max_size {size};
map_hash_bucket_size 256;
geo $qr_dollar {{ default "$"; }}
map $uri $qr_target {{
    default "";
"""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A line of redirects.csv: what is printed, and where a scan leads now."""

    short_url: str
    target: str
    expired_url: str | None
    expires_at: str
    qr_id: str
    owner: str


def of_database(database: str, owner: str | None) -> Iterator[Redirect]:
    """Yield the redirects of an owner, or of all; raises psycopg2.Error."""
    with closing(psycopg2.connect(database, connect_timeout=10)) as connection:
        connection.set_session(readonly=True)
        with connection.cursor("redirects") as cursor:  # on the server, page by page
            cursor.itersize = PAGE
            cursor.execute(SELECT, {"owner": owner})
            for printed, target, expired_url, ends, qr_id, of_owner in cursor:
                if target is not None:
                    moment = ends.astimezone(UTC).isoformat().replace("+00:00", "Z")
                    yield Redirect(
                        printed, target, expired_url, moment, str(qr_id), of_owner
                    )


def in_nginx(redirect: Redirect) -> str:
    """Return a line of redirects.nginx: the path that is printed, and the target."""
    escaped = redirect.target.replace("\\", "\\\\").replace('"', '\\"')
    value = escaped.replace("$", "${qr_dollar}")
    return f'    "{urlsplit(redirect.short_url).path}" "{value}";\n'


def write(redirects: Iterator[Redirect], folder: Path) -> int:
    """Write both files, and replace older ones when they are complete; return how many.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as name:
        count = _draft(redirects, Path(name))
        for file in (TABLE, SERVER):
            (Path(name) / file).replace(folder / file)
    return count


def _draft(redirects: Iterator[Redirect], folder: Path) -> int:
    count = 0
    with ExitStack() as stack:
        table, lines, server = (
            stack.enter_context(_private(folder / name))
            for name in (TABLE, "lines", SERVER)
        )
        rows = csv.writer(table)
        rows.writerow([field.name for field in fields(Redirect)])
        for count, redirect in enumerate(redirects, 1):
            rows.writerow(astuple(redirect))
            lines.write(in_nginx(redirect))
            if count % PAGE == 0:
                print(f"{count:,} codes", flush=True)
        # The head has their number.
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        server.write(HEAD.format(now=now, size=max(2048, 2 * count)))
        lines.seek(0)
        server.writelines(lines)
        server.write("}\n")
    return count


def _private(file: Path) -> Any:
    file.touch(mode=0o600)  # targets are nobody else's business
    return file.open("w+", newline="", encoding="utf-8")


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make redirects",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, default=ROOT / ".local", help="(.local)")
    parser.add_argument("--database", help="(that of `make run`)")
    parser.add_argument("--owner", help="the id of an API key (all)")
    parser.add_argument(
        "--to", type=Path, default=Path("redirects"), help="(redirects)"
    )
    given = parser.parse_args()
    try:
        with ExitStack() as stack:
            database = given.database
            if database is None:
                local = stack.enter_context(any_stack(given.state.absolute()))
                local.migrate()
                variables = json.loads(local.api.variables.read_text())
                database = variables["MigrateFunction"]["DATABASE_URL"]
            count = write(of_database(database, given.owner), given.to)
    except (LocalError, OSError, psycopg2.Error) as error:
        print(f"redirects: {str(error).strip()}", file=sys.stderr)
        return 2
    print(f"{count:,} codes in {given.to}/{TABLE} and {SERVER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
