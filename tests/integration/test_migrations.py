"""Migrations are applied once; the application's role has only the rights it needs."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import errors
from qr_service.stores.migrations import Migration, MigrationError, apply, load

from functions.migrate.app import FOLDER
from local.processes import free_port
from local.servers import PostgreSQL
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
def application(servers, functions):
    """Yield a cursor of the application's role."""
    connection = psycopg2.connect(servers.postgresql.url("qr_app"))
    with closing(connection), connection.cursor() as cursor:
        yield cursor


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
    DROP ROLE qr_app; -- every local server has it
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
                assert cursor.fetchone() == (False, True, True, True)


RESULTING_RIGHTS = """
    SELECT rolsuper,
        pg_has_role('qr_app', 'rds_iam', 'member'),
        has_table_privilege('qr_app', 'qr_codes', 'insert'),
        (SELECT 'statement_timeout=4s' = ANY(rolconfig)
            FROM pg_roles WHERE rolname = 'qr_app')
    FROM pg_roles WHERE rolname = current_user
"""


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine ()",
        "DROP TABLE qr_codes",
        "TRUNCATE qr_codes",
        "UPDATE qr_codes SET expires_at = now()",
        "UPDATE qr_codes SET id = gen_random_uuid()",
        "SELECT * FROM schema_migrations",
        "CREATE ROLE other",
        "COPY qr_codes TO PROGRAM 'cat'",
    ],
)
def test_the_application_may_not_run(application, statement):
    with pytest.raises(errors.InsufficientPrivilege):
        application.execute(statement)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("statement_timeout", "4s"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("timezone", "UTC"),
    ],
)
def test_the_application_has_timeouts_and_uses_utc(application, setting, value):
    application.execute(f"SHOW {setting}")
    assert application.fetchone() == (value,)
