"""The same service the plain way: FastAPI, qrcode, a psycopg2 pool, redis, a folder.

Request costs are compared with it: a competent developer writes it in an afternoon. It
reads no image back, signs no URL, and supports no idempotency.
"""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import qrcode
import redis
from fastapi import FastAPI, HTTPException
from psycopg2.pool import ThreadedConnectionPool
from pydantic import BaseModel, Field

CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS plain_codes
        (id uuid PRIMARY KEY, data text, path text, expires_at timestamptz)
"""
INSERT = "INSERT INTO plain_codes (id, data, path, expires_at) VALUES (%s, %s, %s, %s)"
SELECT = "SELECT path, expires_at FROM plain_codes WHERE id = %s AND expires_at > now()"


class GenerateRequest(BaseModel):
    """The body of `POST /generate`."""

    data: str = Field(min_length=1)
    expiration_hours: int = Field(24, ge=1, le=8760)


class Generated(BaseModel):
    """The answer to `POST /generate`."""

    qr_id: uuid.UUID
    expires_at: datetime


class Retrieved(BaseModel):
    """The answer to `GET /retrieve/{qr_id}`."""

    qr_code: str
    expires_at: datetime


def create_app(database_url: str, redis_url: str, folder: Path) -> FastAPI:
    """Return the application, which stores images in `folder`."""
    app = FastAPI()
    pool = ThreadedConnectionPool(1, 10, database_url)
    cache = redis.Redis.from_url(redis_url)

    def execute(statement: str, *values: object) -> list[tuple[str, datetime]]:
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            pool.putconn(connection)

    execute(CREATE_TABLE)

    @app.post("/generate", status_code=201)  # type: ignore[untyped-decorator]
    def generate(request: GenerateRequest) -> Generated:
        qr_id = uuid.uuid4()
        life = timedelta(hours=request.expiration_hours)
        expires_at = datetime.now(UTC) + life
        path = str(folder / f"{qr_id}.png")
        qrcode.make(request.data).save(path)  # type: ignore[arg-type]
        execute(INSERT, str(qr_id), request.data, path, expires_at)
        cached = {"path": path, "expires_at": expires_at.isoformat()}
        cache.set(f"plain:{qr_id}", json.dumps(cached), ex=life)
        return Generated(qr_id=qr_id, expires_at=expires_at)

    @app.get("/retrieve/{qr_id}")  # type: ignore[untyped-decorator]
    def retrieve(qr_id: uuid.UUID) -> Retrieved:
        if cached := cache.get(f"plain:{qr_id}"):
            value = json.loads(cached)
            return Retrieved(qr_code=value["path"], expires_at=value["expires_at"])
        for path, expires_at in execute(SELECT, str(qr_id)):
            return Retrieved(qr_code=path, expires_at=expires_at)
        raise HTTPException(404, "There is no such code.")

    return app
