"""What owners do with their codes: list them, read, change and end them.

A change or an end is one statement that names the revision it was decided on, so that
of two writers one is refused. Once it is committed, the cache is overwritten. An ended
code is then erased as in a cleanup, image first; what fails of that is left to the
cleanup.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from qr_service.codes import check_qr_id, read_slug
from qr_service.edge.manage import ListQuery, Patch
from qr_service.errors import (
    Expired,
    NotDynamic,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
)
from qr_service.scans import DayOfScans, Scans
from qr_service.stores.cache import Cache
from qr_service.stores.owned import Change, OwnedCode, OwnedTable
from qr_service.stores.storage import Storage
from qr_service.telemetry import describe, logger

# Whether a revision fulfils the condition of a request, None if there is no condition.
Condition = Callable[[int], bool] | None


@dataclass(slots=True)
class Progress:
    """How many codes an operator's work has reached, and whether these are all."""

    done: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Manager:
    """The codes of owners."""

    table: OwnedTable
    storage: Storage
    cache: Cache
    scans: Scans
    grace: timedelta  # for which an ended dynamic code can be brought back
    batch: int = 500  # codes of one statement, for operators

    def living(
        self, owner: str, query: ListQuery
    ) -> tuple[list[OwnedCode], OwnedCode | None]:
        """Return a page of codes that are not over, and its last one if there are more.

        Raises DatabaseUnavailable.
        """
        found = self.table.living(owner, query.after, query.before, query.limit + 1)
        page = found[: query.limit]
        return page, page[-1] if len(found) > len(page) else None

    def read(self, owner: str, qr_id: str) -> OwnedCode:
        """Return a code of an owner that is not over.

        Raises BadRequest, NotFound, Expired and DatabaseUnavailable.
        """
        return self._found(owner, check_qr_id(qr_id), datetime.now(UTC))

    def scans_of(
        self, owner: str, qr_id: str, first: date, last: date
    ) -> list[DayOfScans]:
        """Return the days from `first` to `last` on which a dynamic code was scanned.

        Raises what `read` does, and NotDynamic.
        """
        known = self.read(owner, qr_id)
        if known.slug is None:
            raise NotDynamic("scans", "are not counted")
        return self.scans.of_code(known.code.qr_id, first, last)

    def change(
        self, owner: str, qr_id: str, patch: Patch, condition: Condition
    ) -> OwnedCode:
        """Change a code that is not over; return it as it is then.

        Raises what `read` does, PreconditionRequired without a condition,
        PreconditionFailed, and NotDynamic for what only a dynamic code has.
        """
        now = datetime.now(UTC)
        known = self._found(owner, check_qr_id(qr_id), now)
        if condition is None:
            raise PreconditionRequired
        _check(condition, known)
        if patch.of_dynamic and known.slug is None:
            raise NotDynamic(patch.of_dynamic[0])
        if not patch.names:
            return known
        change = self._change_of(known, patch, now)
        changed = self.table.change(known, change)
        if changed is None:
            changed = self._after_conflict(known, change)
        self._cache(changed, now)
        return changed

    def _change_of(self, known: OwnedCode, patch: Patch, now: datetime) -> Change:
        ends, kept_until = known.code.expires_at, known.kept_until
        if patch.expiration_hours is not None:
            ends = now + timedelta(hours=patch.expiration_hours)
            ends = ends.replace(microsecond=0)
            kept_until = ends + self.grace if known.slug else None
        names = patch.names
        return Change(
            since=now,
            expires_at=ends,
            kept_until=kept_until,
            label=patch.label if "label" in names else known.label,
            data=patch.data or known.data,
            expired_url=(
                patch.expired_url if "expired_url" in names else known.expired_url
            ),
        )

    def _cache(self, owned: OwnedCode, now: datetime) -> None:
        self.cache.codes.put(owned.code, now)
        if owned.link:
            self.cache.links.put(owned.link, now)

    def end(self, owner: str, qr_id: str, condition: Condition) -> None:
        """End a code at once, so that nobody can bring it back.

        Raises what `read` does, and PreconditionFailed.
        """
        now = datetime.now(UTC)
        ended = None
        while ended is None:
            known = self._found(owner, check_qr_id(qr_id), now)
            if condition is not None:
                _check(condition, known)
            ended = self.table.end(known) or self._found_ended(known)
        code = ended.code
        self.cache.codes.put(code.ended(), now)
        if ended.link:
            self.cache.links.put(ended.link.ended(), now)
        if not code.object_key:  # erased meanwhile
            return
        try:
            self.storage.delete(code.object_key)
            self.table.erase(code.qr_id)
        except Exception as error:  # noqa: BLE001  it has ended, whatever fails now
            logger.warning("ended code left to the cleanup", **describe(error))

    def end_any(self, name: str) -> dict[str, str]:
        """End a code of any owner, by its id or its slug; return its id and its owner.

        Raises BadRequest, NotFound, Expired and DatabaseUnavailable.
        """
        slug = read_slug(name)
        qr_id = self.table.id_of(slug) if slug else check_qr_id(name)
        found = qr_id and self.table.find(qr_id)
        if not qr_id or not found:
            raise NotFound("There is no code with this id or slug.")
        self.end(found.owner, qr_id, None)
        return {"qr_id": qr_id, "owner": found.owner}

    def end_owner(self, owner: str, has_time: Callable[[], bool]) -> Progress:
        """End all codes of an owner for good; the next cleanup erases them.

        Raises DatabaseUnavailable; what is done stays so, and is not done again.
        """
        progress = Progress()
        while has_time():
            now = datetime.now(UTC)
            ended = self.table.end_some(owner, self.batch)
            for code, link in ended:
                self.cache.codes.put(code, now)
                if link:
                    self.cache.links.put(link, now)
            progress.done += len(ended)
            if len(ended) < self.batch:
                progress.complete = True
                break
        return progress

    def transfer(
        self, source: str, target: str, has_time: Callable[[], bool]
    ) -> Progress:
        """Give all codes of one owner to another.

        An Idempotency-Key that both have used stays with the code of the new owner.
        Raises DatabaseUnavailable; what is done stays so, and is not done again.
        """
        progress = Progress()
        while has_time():
            moved = self.table.transfer(source, target, self.batch)
            progress.done += moved
            if moved < self.batch:
                progress.complete = True
                break
        return progress

    def _found(self, owner: str, qr_id: str, now: datetime) -> OwnedCode:
        found = self.table.find(qr_id)
        if found and found.is_over(now):
            raise Expired(found.code.expires_at)
        if found is None or found.owner != owner:
            raise NotFound("There is no code with this id.", field="qr_id")
        return found

    def _found_ended(self, known: OwnedCode) -> OwnedCode | None:
        """Return the code if it is ended, None if it was changed instead.

        A first try of the statement, whose answer was lost, has done so, or another.
        """
        found = self._found_again(known)
        return found if found.is_over(datetime.now(UTC)) else None

    def _found_again(self, known: OwnedCode) -> OwnedCode:
        """Return a code that a statement did not find in the revision that is known.

        Raises Expired if it still has it: it has ended by the clock of the database.
        """
        found = self.table.find(known.code.qr_id)
        if found is None:
            raise NotFound("There is no code with this id.", field="qr_id")
        if found.code.revision == known.code.revision:
            raise Expired(found.code.expires_at)
        return found

    def _after_conflict(self, known: OwnedCode, change: Change) -> OwnedCode:
        """Return the code if it is as the change wanted it; raises PreconditionFailed.

        A first try of the same statement, whose answer was lost, has done so.
        """
        found = self._found_again(known)
        if found.is_over(datetime.now(UTC)):
            raise Expired(found.code.expires_at)
        is_next = found.code.revision == known.code.revision + 1
        wanted = (change.expires_at, change.label, change.data, change.expired_url)
        has = (found.code.expires_at, found.label, found.data, found.expired_url)
        if not is_next or has != wanted:
            raise PreconditionFailed
        return found


def _check(condition: Callable[[int], bool], known: OwnedCode) -> None:
    if not condition(known.code.revision):
        raise PreconditionFailed
