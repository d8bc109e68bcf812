"""What owners do with their codes: list them, read, change and end them.

A change or an end is one statement that names the revision it was decided on, so that
of two writers one is refused. Once it is committed, the cache is overwritten. An ended
code is then erased as in a cleanup, image first; what fails of that is left to the
cleanup.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from qr_service.codes import check_qr_id
from qr_service.edge.manage import ListQuery, Patch
from qr_service.errors import (
    Expired,
    NotDynamic,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
)
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
    batch: int = 500  # codes of one statement, for operators

    def living(
        self, owner: str, query: ListQuery
    ) -> tuple[list[OwnedCode], OwnedCode | None]:
        """Return a page of living codes, and its last one if there are more.

        Raises DatabaseUnavailable.
        """
        found = self.table.living(owner, query.after, query.before, query.limit + 1)
        page = found[: query.limit]
        return page, page[-1] if len(found) > len(page) else None

    def read(self, owner: str, qr_id: str) -> OwnedCode:
        """Return a living code of an owner.

        Raises BadRequest, NotFound, Expired and DatabaseUnavailable.
        """
        return self._living(owner, check_qr_id(qr_id), datetime.now(UTC))

    def change(
        self, owner: str, qr_id: str, patch: Patch, condition: Condition
    ) -> OwnedCode:
        """Change a living code; return it as it is then.

        Raises what `read` does, PreconditionRequired without a condition,
        PreconditionFailed, and NotDynamic for what only a dynamic code has.
        """
        now = datetime.now(UTC)
        known = self._living(owner, check_qr_id(qr_id), now)
        if condition is None:
            raise PreconditionRequired
        _check(condition, known)
        if patch.of_dynamic and not known.is_dynamic:
            raise NotDynamic(field=patch.of_dynamic[0])
        if patch.expiration_hours is None and not patch.sets_label:
            return known
        hours = patch.expiration_hours
        ends = None if hours is None else now + timedelta(hours=hours)
        change = Change(
            expires_at=ends and ends.replace(microsecond=0),
            sets_label=patch.sets_label,
            label=patch.label,
        )
        changed = self.table.change(known, change)
        if changed is None:
            changed = self._after_conflict(known, change)
        self.cache.put(changed.code, now)
        return changed

    def end(self, owner: str, qr_id: str, condition: Condition) -> None:
        """End a living code at once.

        Raises what `read` does, and PreconditionFailed.
        """
        now = datetime.now(UTC)
        ended = None
        while ended is None:
            known = self._living(owner, check_qr_id(qr_id), now)
            if condition is not None:
                _check(condition, known)
            ended = self.table.end(known) or self._found_ended(known)
        code = ended.code
        self.cache.put(replace(code, object_key="", content_type=""), now)
        if not code.object_key:  # erased meanwhile
            return
        try:
            self.storage.delete(code.object_key)
            self.table.erase(code.qr_id)
        except Exception as error:  # noqa: BLE001  it has ended, whatever fails now
            logger.warning("ended code left to the cleanup", **describe(error))

    def end_owner(self, owner: str, has_time: Callable[[], bool]) -> Progress:
        """End all living codes of an owner; the next cleanup erases them.

        Raises DatabaseUnavailable; what is done stays so, and is not done again.
        """
        progress = Progress()
        while has_time():
            now = datetime.now(UTC)
            ended = self.table.end_some(owner, self.batch)
            for code in ended:
                self.cache.put(code, now)
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

    def _living(self, owner: str, qr_id: str, now: datetime) -> OwnedCode:
        found = self.table.find(qr_id)
        if found and found.code.is_expired(now):
            raise Expired(found.code.expires_at)
        if found is None or found.owner != owner:
            raise NotFound("There is no code with this id.", field="qr_id")
        return found

    def _found_ended(self, known: OwnedCode) -> OwnedCode | None:
        """Return the code if it is ended, None if it was changed instead.

        A first try of the statement, whose answer was lost, has done so, or another.
        """
        found = self._found_again(known)
        return found if found.code.is_expired(datetime.now(UTC)) else None

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
        if found.code.is_expired(datetime.now(UTC)):
            raise Expired(found.code.expires_at)
        is_as_wanted = (
            found.code.revision == known.code.revision + 1
            and (change.expires_at or known.code.expires_at) == found.code.expires_at
            and (change.label if change.sets_label else known.label) == found.label
        )
        if not is_as_wanted:
            raise PreconditionFailed
        return found


def _check(condition: Callable[[int], bool], known: OwnedCode) -> None:
    if not condition(known.code.revision):
        raise PreconditionFailed
