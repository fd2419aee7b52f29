"""The least that PostgreSQL can be asked to do: COPY of rows that are ready, and one merge. Prints the seconds it took.

Arguments: file with the creds' row, file with the keys' rows. Environment: DATABASE_URL.
"""

import os
import sys
import time

import psycopg


def copy(cursor: psycopg.Cursor, statement: str, rows: str) -> None:
    with open(rows, "rb") as file, cursor.copy(statement) as sink:
        while block := file.read(1 << 16):
            sink.write(block)


with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    start = time.perf_counter()
    cursor.execute(
        "CREATE TEMPORARY TABLE staged (company_id text, key_type text, key_id text, value jsonb) ON COMMIT DROP"
    )
    copy(cursor, "COPY staged FROM STDIN", sys.argv[2])
    cursor.execute(
        """
        INSERT INTO whatsapp_keys (company_id, key_type, key_id, value)
        SELECT company_id, key_type, key_id, value FROM staged
            ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = excluded.value
        """
    )
    copy(cursor, "COPY whatsapp_auth (company_id, creds) FROM STDIN", sys.argv[1])
    connection.commit()
    print(time.perf_counter() - start)
