-- Codes that their owner manages, and dynamic codes; a role for each function.
--
-- Functions of release 1 go on working: what is new has a default or may be NULL, and
-- their role qr_app keeps its rights until a later migration drops it. The index takes
-- about a second for a million codes, in which no code is created.

-- Waiting for the table does not stop the service; the deployment can be repeated.
SET LOCAL lock_timeout = '2s';

ALTER TABLE qr_codes
    -- Raised by every change of a code; the cache keeps the higher one.
    ADD revision integer NOT NULL DEFAULT 1,
    ADD label text,
    -- Of a dynamic code: its short name, which is never used again; the text in the
    -- image; where a scan leads after the end; whether scans are counted; the last
    -- values of `data` with their moments.
    ADD slug text CHECK (slug ~ '^[0-9A-HJKMNP-TV-Z]{8}$'),
    ADD printed text,
    ADD expired_url text,
    ADD count boolean,
    ADD targets jsonb,
    ADD CHECK (slug IS NOT NULL OR num_nonnulls(printed, expired_url, count, targets) = 0),
    -- A code may end in the second in which it was created.
    DROP CONSTRAINT qr_codes_check,
    ADD CHECK (expires_at >= created_at);

CREATE UNIQUE INDEX qr_codes_slug ON qr_codes (slug) WHERE slug IS NOT NULL;
CREATE INDEX qr_codes_owner ON qr_codes (owner, created_at DESC, id DESC)
    WHERE erased_at IS NULL;

-- What erasing leaves is decided here, so a role that may erase needs no right to change
-- anything else: id, moments, revision; slug and expired_url of a dynamic code.
CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.owner := NULL;
    NEW.data := NULL;
    NEW.options := NULL;
    NEW.object_key := NULL;
    NEW.content_type := NULL;
    NEW.idempotency_key := NULL;
    NEW.request_digest := NULL;
    NEW.answer := NULL;
    NEW.label := NULL;
    NEW.printed := NULL;
    NEW.count := NULL;
    NEW.targets := NULL;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION forget() FROM PUBLIC;
CREATE TRIGGER forget BEFORE UPDATE OF erased_at ON qr_codes
    FOR EACH ROW WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget();

-- All that a redirect may know: one row, for whoever knows its slug.
CREATE FUNCTION scan(wanted text)
    RETURNS TABLE (
        qr_id uuid, data text, expired_url text, count boolean, expires_at timestamptz,
        revision integer
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
    SELECT id, data, expired_url, count, expires_at, revision
    FROM public.qr_codes WHERE slug = wanted
$$;
REVOKE ALL ON FUNCTION scan(text) FROM PUBLIC;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY
        ARRAY['qr_generate', 'qr_retrieve', 'qr_redirect', 'qr_manage', 'qr_cleanup']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
            EXECUTE format('GRANT rds_iam TO %I', name);
        END IF;
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''4s''', name);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''3s''', name);
        EXECUTE format(
            'ALTER ROLE %I SET idle_in_transaction_session_timeout = ''60s''', name);
        EXECUTE format('ALTER ROLE %I SET timezone = ''UTC''', name);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', name);
    END LOOP;
END
$$;

GRANT INSERT, SELECT (id, owner, expires_at, idempotency_key, request_digest, answer),
    UPDATE (idempotency_key, request_digest, answer) ON qr_codes TO qr_generate;
GRANT SELECT (id, expires_at, object_key, content_type, revision)
    ON qr_codes TO qr_retrieve;
GRANT EXECUTE ON FUNCTION scan(text) TO qr_redirect;
GRANT SELECT, UPDATE (owner, data, label, expired_url, targets, expires_at, revision,
    erased_at, idempotency_key, request_digest, answer) ON qr_codes TO qr_manage;
GRANT SELECT (id, created_at, expires_at, erased_at, object_key, slug),
    UPDATE (erased_at), DELETE ON qr_codes TO qr_cleanup;
