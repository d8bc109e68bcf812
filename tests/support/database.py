"""A database, looked at from outside of the service."""

import psycopg2


def query(url, statement, *parameters):
    """The rows of one statement, which is committed; None when it has none."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()
