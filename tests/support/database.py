"""Direct access to the database, without the service."""

import psycopg2


def query(url, statement, *parameters):
    """Run and commit one statement; return its rows, None if it has no result set."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()
