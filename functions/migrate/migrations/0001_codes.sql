-- The table of codes, and the role that the functions work as.

CREATE TABLE qr_codes (
    id uuid PRIMARY KEY,
    owner text,
    data text,
    options jsonb,
    object_key text,
    content_type text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    erased_at timestamptz,
    idempotency_key text,
    request_digest bytea,
    -- json, not jsonb: it is replayed word for word.
    answer json,
    CHECK (expires_at > created_at),
    CHECK (num_nulls(idempotency_key, request_digest, answer) IN (0, 3)),
    -- A code that is not erased has all of these, a tombstone has none.
    CHECK (
        num_nonnulls(owner, data, options, object_key, content_type)
        = CASE WHEN erased_at IS NULL THEN 5 ELSE 0 END
    ),
    CHECK (erased_at IS NULL OR idempotency_key IS NULL)
);

CREATE UNIQUE INDEX qr_codes_idempotency_key ON qr_codes (owner, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX qr_codes_expired ON qr_codes (expires_at, id) WHERE erased_at IS NULL;
CREATE INDEX qr_codes_erased ON qr_codes (erased_at) WHERE erased_at IS NOT NULL;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qr_app') THEN
        CREATE ROLE qr_app LOGIN;
    END IF;
    -- On RDS, a member of rds_iam logs in with a token, and only with a token.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        GRANT rds_iam TO qr_app;
    END IF;
END
$$;

-- On the role, because RDS Proxy refuses start-up options and pins after a SET.
ALTER ROLE qr_app SET statement_timeout = '4s';
ALTER ROLE qr_app SET lock_timeout = '3s';
ALTER ROLE qr_app SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE qr_app SET timezone = 'UTC';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO qr_app;
GRANT SELECT, INSERT, DELETE ON qr_codes TO qr_app;
GRANT UPDATE (owner, data, options, object_key, content_type, erased_at,
    idempotency_key, request_digest, answer) ON qr_codes TO qr_app;
