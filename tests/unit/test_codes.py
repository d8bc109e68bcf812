from datetime import UTC, datetime, timedelta, timezone

import pytest
from qr_service.codes import Code, check_qr_id, is_expired
from qr_service.errors import BadRequest, timestamp

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("remaining", "expired"),
    [
        (timedelta(hours=-1), True),
        (timedelta(0), True),
        (timedelta(milliseconds=999), True),
        (timedelta(seconds=1), False),
        (timedelta(hours=1), False),
    ],
)
def test_a_code_with_less_than_one_second_left_is_expired(remaining, expired):
    assert is_expired(NOON + remaining, NOON) is expired


def test_a_tombstone_is_expired_at_any_time():
    assert Code("id", NOON + timedelta(days=1), "", "").is_expired(NOON)


def test_timestamps_are_in_utc_with_whole_seconds():
    paris = timezone(timedelta(hours=1))
    moment = datetime(2024, 1, 22, 16, 30, 0, 999999, tzinfo=paris)
    assert timestamp(moment) == "2024-01-22T15:30:00Z"


def test_a_canonical_id_is_accepted():
    qr_id = "3b091314-0292-438f-b45c-79b1201b0f3a"
    assert check_qr_id(qr_id) == check_qr_id(qr_id.upper()) == qr_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{3b091314-0292-438f-b45c-79b1201b0f3a}",
        "3b0913140292438fb45c79b1201b0f3a",
        "3b091314-0292-438f-b45c-79b1201b0f3a\n",
        "x" * 10_000,
    ],
)
def test_every_other_id_is_refused(text):
    with pytest.raises(BadRequest) as error:
        check_qr_id(text)
    assert error.value.code == "invalid_id"
    received = error.value.fields["received"]
    assert received == (text if len(text) <= 64 else "x" * 63 + "…")
