"""Migrations are applied once; the application's role has only the rights it needs."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import errors
from qr_service.stores.migrations import Migration, MigrationError, apply, load

from functions.migrate.app import FOLDER
from local.processes import free_port
from local.servers import ROLES, PostgreSQL
from tests.support.functions import migrate_with


@pytest.fixture
def empty_database(servers):
    """Return the URL of a database without a schema."""
    admin = psycopg2.connect(servers.postgresql.url("qr_admin"))
    admin.autocommit = True
    with closing(admin), admin.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS migrated WITH (FORCE)")
        cursor.execute("CREATE DATABASE migrated")
    return servers.postgresql.url("qr_admin").rpartition("/")[0] + "/migrated"


@pytest.fixture
def as_role(servers, database):
    """Return a function that runs a statement as a role, and changes nothing."""

    def run(role, statement):
        connection = psycopg2.connect(servers.postgresql.url(role))
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None

    return run


@pytest.fixture
def managed(tmp_path):
    """Yield the URLs of two databases, for a master user as on RDS: not a superuser."""
    server = PostgreSQL(tmp_path, free_port(), durable=False)
    server.start()
    try:
        admin = psycopg2.connect(server.url("qr_admin"))
        admin.autocommit = True
        with closing(admin), admin.cursor() as cursor:
            cursor.execute(MANAGED)
            for name in ("one", "two"):
                cursor.execute(f"CREATE DATABASE {name} OWNER master")
        place = f"postgresql://master:{PASSWORD}@127.0.0.1:{server.port}"
        yield [f"{place}/{name}" for name in ("one", "two")]
    finally:
        server.stop()


PASSWORD = "of-the-master-user"
# RDS has the two rds_ roles. CREATEROLE alone may not grant roles that others created.
MANAGED = f"""
    DROP ROLE {", ".join(ROLES)}; -- every local server has them
    CREATE ROLE rds_iam NOLOGIN;
    CREATE ROLE rds_superuser NOLOGIN;
    GRANT rds_iam TO rds_superuser WITH ADMIN OPTION;
    CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}';
    GRANT rds_superuser TO master;
"""


def tables(url):
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


NEWEST = load(FOLDER)[-1].version
ONE = Migration(1, "0001_one", "CREATE TABLE one (); INSERT INTO one DEFAULT VALUES")
TWO = Migration(2, "0002_two", "CREATE TABLE two ()")
BROKEN = Migration(2, "0002_broken", "CREATE TABLE two (); SELECT 1 / 0")


def test_applying_twice_changes_nothing(servers, functions):
    result = migrate_with(servers)
    assert result == {"applied": [], "schema_version": NEWEST}


def test_missing_migrations_are_applied_in_order(empty_database):
    with closing(psycopg2.connect(empty_database)) as connection:
        assert apply(connection, [ONE]) == [ONE]
        assert apply(connection, [ONE, TWO]) == [TWO]
    assert tables(empty_database) == ["one", "schema_migrations", "two"]


def test_a_failed_migration_does_not_change_the_schema(empty_database):
    with closing(psycopg2.connect(empty_database)) as connection:
        with pytest.raises(MigrationError, match="0002_broken") as raised:
            apply(connection, [ONE, BROKEN])
        assert raised.value.pgcode == "22012"  # division by zero
        assert tables(empty_database) == ["one", "schema_migrations"]
        assert apply(connection, [ONE, TWO]) == [TWO]


def test_migrations_newer_than_the_code_are_kept(empty_database):
    with closing(psycopg2.connect(empty_database)) as connection:
        apply(connection, [ONE, TWO])
        assert apply(connection, [ONE]) == []
    assert tables(empty_database) == ["one", "schema_migrations", "two"]


def test_simultaneous_runs_apply_each_migration_once(empty_database):
    slow = Migration(1, "0001_slow", "SELECT pg_sleep(0.3); CREATE TABLE one ()")

    def run(_):
        with closing(psycopg2.connect(empty_database)) as connection:
            return apply(connection, [slow, TWO])

    with ThreadPoolExecutor(3) as pool:
        applied = [migration for done in pool.map(run, range(3)) for migration in done]
    assert sorted(migration.version for migration in applied) == [1, 2]


def test_the_master_user_of_rds_can_apply_all_migrations(managed):
    wanted = load(FOLDER)
    for url in managed:  # in the second one, the role exists already
        with closing(psycopg2.connect(url)) as connection:
            assert apply(connection, wanted) == wanted
            with connection, connection.cursor() as cursor:
                cursor.execute(RESULTING_RIGHTS)
                assert cursor.fetchone() == (
                    False,
                    [True] * len(ROLES),
                    [True] * len(ROLES),
                )


RESULTING_RIGHTS = """
    SELECT rolsuper,
        (SELECT array_agg(pg_has_role(rolname, 'rds_iam', 'member'))
            FROM pg_roles WHERE rolname LIKE 'qr\\_%' AND rolname <> 'qr_admin'),
        (SELECT array_agg('statement_timeout=4s' = ANY(rolconfig))
            FROM pg_roles WHERE rolname LIKE 'qr\\_%' AND rolname <> 'qr_admin')
    FROM pg_roles WHERE rolname = current_user
"""


# ------------------------------------------------------- what each role may not do

INSERT = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at)
    VALUES (gen_random_uuid(), 'a', 'b', '{}', 'c', 'd', now(), now())
"""
COLUMNS = [
    "id",
    "owner",
    "data",
    "options",
    "object_key",
    "content_type",
    "created_at",
    "expires_at",
    "erased_at",
    "idempotency_key",
    "request_digest",
    "answer",
    "revision",
    "label",
    "slug",
    "printed",
    "expired_url",
    "count",
    "targets",
    "kept_until",
]
STATEMENTS = {
    "insert": INSERT,
    "delete": "DELETE FROM qr_codes",
    "scan": "SELECT * FROM scan('00000000')",
    "insert scans": "INSERT INTO scans SELECT id, now(), id, 1, 1 FROM qr_codes",
    "read scans": "SELECT * FROM scans",
    "change scans": "UPDATE scans SET people = 1, bots = 1",
    "move scans": "UPDATE scans SET day = now()",
    "delete scans": "DELETE FROM scans",
    **{f"read {name}": f"SELECT {name} FROM qr_codes" for name in COLUMNS},
    **{f"change {name}": f"UPDATE qr_codes SET {name} = NULL" for name in COLUMNS},
}
ANSWER = {"idempotency_key", "request_digest", "answer"}
# What each role may do; a test holds that it may do nothing else.
ALLOWED = {
    "qr_generate": {
        "insert",
        *(f"read {name}" for name in ("id", "owner", "expires_at", "slug", *ANSWER)),
        *(f"change {name}" for name in ANSWER),
    },
    "qr_retrieve": {
        f"read {name}"
        for name in ("id", "expires_at", "object_key", "content_type", "revision")
    },
    "qr_redirect": {"scan"},
    "qr_manage": {
        "read scans",
        "delete scans",
        *(f"read {name}" for name in COLUMNS),
        *(
            f"change {name}"
            for name in (
                "owner",
                "data",
                "expires_at",
                "erased_at",
                "revision",
                "label",
                "expired_url",
                "targets",
                "kept_until",
                *ANSWER,
            )
        ),
    },
    "qr_cleanup": {
        "delete",
        "change erased_at",
        *(f"{what} scans" for what in ("insert", "read", "change", "delete")),
        *(
            f"read {name}"
            for name in (
                "id",
                "created_at",
                "expires_at",
                "erased_at",
                "object_key",
                "slug",
                "count",
                "kept_until",
            )
        ),
    },
}


def test_the_columns_are_those_of_the_table(as_role):
    listed = as_role("qr_manage", "SELECT * FROM qr_codes LIMIT 0")
    assert listed == []
    found = as_role(
        "qr_admin",
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = 'qr_codes'",
    )
    assert {name for (name,) in found} == set(COLUMNS)


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_do_what_it_needs_and_nothing_else(as_role, role):
    may = set()
    for name, statement in STATEMENTS.items():
        try:
            as_role(role, statement)
        except errors.InsufficientPrivilege:
            continue
        may.add(name)
    assert may == ALLOWED[role]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine ()",
        "DROP TABLE qr_codes",
        "TRUNCATE qr_codes, scans",
        "ALTER TABLE qr_codes DISABLE TRIGGER forget",
        "SELECT * FROM schema_migrations",
        "CREATE ROLE other",
        "SET ROLE qr_admin",
        "COPY qr_codes TO PROGRAM 'cat'",
    ],
)
def test_no_role_may_run(as_role, role, statement):
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(role, statement)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("statement_timeout", "4s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("timezone", "UTC"),
    ],
)
def test_a_role_has_timeouts_and_uses_utc(as_role, role, setting, value):
    assert as_role(role, f"SHOW {setting}") == [(value,)]


# ----------------------------------------------------------------- what the table holds


def test_a_redirect_learns_one_row(database, as_role):
    for slug in ("7H3K9QWX", "7H3K9QWY"):
        database(INSERT)
        database(
            "UPDATE qr_codes SET slug = %s, count = true, data = %s WHERE slug IS NULL",
            slug,
            f"https://example.com/{slug}",
        )
    (row,) = as_role("qr_redirect", "SELECT data, count FROM scan('7H3K9QWX')")
    assert row == ("https://example.com/7H3K9QWX", True)
    assert as_role("qr_redirect", "SELECT * FROM scan('00000000')") == []


@pytest.mark.parametrize("slug", ["7h3k9qwx", "7H3K9QW", "7H3K9QWXX", "7H3K9QWI", ""])
def test_a_slug_has_eight_characters_of_its_alphabet(database, slug):
    database(INSERT)
    with pytest.raises(errors.CheckViolation):
        database("UPDATE qr_codes SET slug = %s", slug)


def test_a_slug_is_used_once(database):
    for _ in range(2):
        database(INSERT)
    with pytest.raises(errors.UniqueViolation):
        database("UPDATE qr_codes SET slug = '7H3K9QWX'")


@pytest.mark.parametrize(
    "column", ["printed = ''", "expired_url = ''", "count = true", "targets = '[]'"]
)
def test_only_a_dynamic_code_has_a_target(database, column):
    database(INSERT)
    with pytest.raises(errors.CheckViolation):
        database(f"UPDATE qr_codes SET {column}")


def test_no_code_ends_before_it_was_created(database):
    database(INSERT)  # it ends at that moment
    with pytest.raises(errors.CheckViolation):
        database("UPDATE qr_codes SET expires_at = created_at - interval '1 second'")


OLD_INSERT = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at, idempotency_key, request_digest, answer)
    VALUES (gen_random_uuid(), 'a', 'b', '{}', 'c', 'd', now(), now() + interval '1 s',
        NULL, NULL, NULL)
    ON CONFLICT DO NOTHING RETURNING id
"""
OLD_ERASE = """
    UPDATE qr_codes SET erased_at = now(), owner = NULL, data = NULL, options = NULL,
        object_key = NULL, content_type = NULL, idempotency_key = NULL,
        request_digest = NULL, answer = NULL
"""


def test_statements_of_release_1_0_work_and_leave_no_text(database, as_role, servers):
    with closing(psycopg2.connect(servers.postgresql.url("qr_app"))) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(OLD_INSERT)
            assert cursor.fetchone()
        database("UPDATE qr_codes SET label = 'of the owner'")
        with connection, connection.cursor() as cursor:
            cursor.execute(OLD_ERASE)
    assert database("SELECT label, data, revision FROM qr_codes") == [(None, None, 1)]
