"""`qr-codes`: a code of each row of a CSV file.

The results are a second CSV file. Ended at any moment and started again, it goes on
where it was, and makes no code twice.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from qr_client.api import MOST_ITEMS, Client, Fields, Problem, Unreachable
from qr_client.results import Record, Results
from qr_client.rows import BadTable, Row, Table, read

MOST_BYTES = 900_000  # of the items of a batch; the service accepts a mebibyte in all
TRIES = 8  # for items that are unavailable
MOST_WAIT = 30.0  # seconds between two of them
DOWNLOADS = 8  # images at once
GONE = (404, 410)  # a code that has ended
URL = "http://127.0.0.1:3000"  # of `make run`

MADE, REFUSED, FAILED, INTERRUPTED = 0, 1, 2, 130


class Unavailable(Exception):
    """Rows that were not answered, however often they were sent."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    It is 0 if every row has a code, 1 if a row was refused, 2 if the run could not
    begin or go on, 130 after Ctrl-C.
    """
    options = _options(arguments)
    shown, said = Console(stderr=True, highlight=False), Console(highlight=False)
    try:
        defaults = _defaults(options.defaults)
        client = Client(options.url, os.environ.get("QR_API_KEY", ""))
        document = Client(options.url, tries=2).document()  # does it answer at all?
        table = read(options.csv, document, options.ignore)
        run = _dry_run if options.dry_run else _run
        return run(options, client, table, defaults, shown, said)
    except (BadTable, Problem, Unreachable, Unavailable, ValueError, OSError) as error:
        shown.print(f"{error}", style="red", markup=False, soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        shown.print("Ended. The same command goes on where it was.")
        return INTERRUPTED


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="qr-codes",
        description="Make a QR code of each row of a CSV file. Its columns are fields "
        "of POST /generate: data, expiration_hours, label, content.type ... A column "
        "ref names the rows. The API key is taken from the environment: QR_API_KEY.",
    )
    parser.add_argument("csv", type=Path, help="the file, in UTF-8")
    parser.add_argument(
        "--url",
        default=os.environ.get("QR_URL", URL),
        help="address of the service (QR_URL, or %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, help="the results (CSV.results.csv beside it)"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="save each image here, too"
    )
    parser.add_argument(
        "--defaults",
        type=Path,
        metavar="JSON",
        help="file with fields that all rows have, such as a logo",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column that is no field (can be repeated)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="create nothing; list what is wrong, by row and column",
    )
    options = parser.parse_args(arguments)
    if options.output is None:
        options.output = options.csv.with_suffix(".results.csv")
    return options


def _defaults(path: Path | None) -> Fields:
    """Return the fields that all rows have; raises BadTable and OSError."""
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadTable(f"{path} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadTable(f"{path} is no JSON object.")
    return found


# ------------------------------------------------------------------------------- runs


def _dry_run(
    _: argparse.Namespace,
    client: Client,
    table: Table,
    defaults: Fields,
    shown: Console,
    said: Console,
) -> int:
    """Let the service prove every row; list what is wrong."""
    refused = 0
    with _progress(shown, "proved", len(table.rows)) as advance:
        for rows in _batches(table.rows):
            for row, result in _answered(client, rows, defaults, dry_run=True):
                if result["status"] != 200:
                    refused += 1
                    said.print(_complaint(row, result), markup=False, soft_wrap=True)
            advance(len(rows))
    fine = len(table.rows) - refused
    said.print(f"{fine:,} of {len(table.rows):,} rows can be made; nothing was stored.")
    return REFUSED if refused else MADE


def _run(
    options: argparse.Namespace,
    client: Client,
    table: Table,
    defaults: Fields,
    shown: Console,
    said: Console,
) -> int:
    """Make the codes that are missing, and save the images that are."""
    results = Results(options.output, table)
    key = results.key()
    records = {record.row.ref: record for record in results.load()}
    results.write(records.values())  # without what was refused, or half-written
    missing = [row for row in table.rows if row.ref not in records]
    if records:
        shown.print(f"{len(records):,} of {len(table.rows):,} codes exist already.")
    images = _Images(client, options.images, len(table.rows))
    with ThreadPoolExecutor(DOWNLOADS) as threads:
        with _progress(shown, "made", len(table.rows), len(records)) as advance:
            for rows in _batches(missing):
                answered = _answered(client, rows, defaults, key=key)
                new = [Record(row, result) for row, result in answered]
                new = list(threads.map(images.save, new))
                results.append(new)
                records |= {record.row.ref: record for record in new}
                advance(len(rows))
        _fetch(images, records, threads, shown)
    results.write(records.values())
    refused = [record for record in records.values() if not record.is_created]
    for record in sorted(refused, key=lambda each: each.row.number):
        said.print(_complaint(record.row, record.result), markup=False, soft_wrap=True)
    made = len(records) - len(refused)
    said.print(f"{made:,} of {len(table.rows):,} codes are in {results.path}.")
    return REFUSED if refused else MADE


def _fetch(
    images: "_Images",
    records: dict[str, Record],
    threads: ThreadPoolExecutor,
    shown: Console,
) -> None:
    """Save the images of earlier codes that the folder lacks; note their names."""
    lacking = [record for record in records.values() if images.lack(record)]
    if not lacking:
        return
    gone = 0
    with _progress(shown, "fetched", len(lacking)) as advance:
        for start in range(0, len(lacking), MOST_ITEMS):
            for record in threads.map(images.save, lacking[start : start + MOST_ITEMS]):
                records[record.row.ref] = record
                gone += not record.image
                advance(1)
    if gone:
        shown.print(f"{gone:,} of them have ended: they have no image.")


def _complaint(row: Row, result: Fields) -> str:
    column = f", column {result['field']}" if "field" in result else ""
    return f"row {row.number}{column}: {result.get('detail', result['status'])}"


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows in batches that the service accepts."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row.item))
        if batch and (len(batch) == MOST_ITEMS or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield batch


def _answered(
    client: Client,
    rows: Sequence[Row],
    defaults: Fields,
    *,
    key: str = "",
    dry_run: bool = False,
) -> Iterator[tuple[Row, Fields]]:
    """Yield each row with its result; what is unavailable is sent again.

    Raises Unavailable if some still are.
    """
    wait = 1.0
    for _ in range(TRIES):
        results = client.generate_batch(
            [row.item for row in rows], defaults=defaults, key=key, dry_run=dry_run
        )
        again, after = [], 0.0
        for row, result in zip(rows, results, strict=True):
            if result["status"] < 500:
                yield row, result
            else:
                again.append(row)
                after = max(after, float(result.get("retry_after", 0)))
        if not again:
            return
        rows = again
        time.sleep(max(wait, after))
        wait = min(2 * wait, MOST_WAIT)
    raise Unavailable(
        f"{len(rows)} rows were not answered, from row {rows[0].number} on. The same "
        "command goes on with them."
    )


class _Images:
    """The folder of the images; without one nothing is fetched."""

    def __init__(self, client: Client, folder: Path | None, rows: int) -> None:
        self._client = client
        self._folder = folder
        self._digits = len(f"{rows + 1}")
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def lack(self, record: Record) -> bool:
        """Return whether the image of a code is wanted, and not in the folder."""
        if not self._folder or not record.is_created:
            return False
        return not record.image or not (self._folder / record.image).exists()

    def save(self, record: Record) -> Record:
        """Save the image of a code; return it with the file's name.

        Of a code that has ended there is no image.
        """
        if not self._folder or not record.is_created:
            return record
        row = record.row
        try:
            kind, image = self._client.image_file(record.result["qr_id"])
        except Problem as problem:
            if problem.status not in GONE:
                raise
            return replace(record, image="")
        letters = (each if each.isalnum() else "-" for each in row.ref)
        number = f"{row.number:0{self._digits}}"
        plain = "" if row.ref == f"row {row.number}" else f"-{''.join(letters)[:40]}"
        name = f"{number}{plain}.{kind}"
        half = self._folder / f".{name}.new"
        half.write_bytes(image)
        half.replace(self._folder / name)
        return replace(record, image=name)


# ----------------------------------------------------------------------- its progress


class _Rate(ProgressColumn):
    """How many rows were done in a second."""

    def render(self, task: Task) -> Text:
        """Return the rate of the last while, or of the whole once it is over."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} rows/s")


@contextmanager
def _progress(
    console: Console, word: str, total: int, done: int = 0
) -> Iterator[Callable[[int], None]]:
    """Show a bar with the rate and the time left; yield what advances it."""
    columns: Iterable[ProgressColumn] = (
        TextColumn(word),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(word, total=total, completed=done)
        yield lambda rows: progress.advance(task, rows)


if __name__ == "__main__":
    sys.exit(main())
