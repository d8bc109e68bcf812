-- Dynamic codes: how long an ended one is kept for its owner, and how often it was scanned.
--
-- Functions of earlier releases go on working: what is new may be NULL.

-- Waiting for the table does not stop the service; the deployment can be repeated.
SET LOCAL lock_timeout = '2s';

-- Until when a dynamic code that ends by itself can be brought back. Until then it keeps
-- its data; a static code, and one that its owner ended, is erased from its end on.
ALTER TABLE qr_codes
    ADD kept_until timestamptz,
    ADD CHECK (kept_until IS NULL OR (slug IS NOT NULL AND kept_until >= expires_at));

-- A later migration drops qr_codes_expired and qr_codes_erased, which earlier releases use.
CREATE INDEX qr_codes_due ON qr_codes (coalesce(kept_until, expires_at), id)
    WHERE erased_at IS NULL;
CREATE INDEX qr_codes_ending ON qr_codes (expires_at)
    WHERE erased_at IS NULL AND slug IS NOT NULL;
CREATE INDEX qr_codes_purge ON qr_codes (erased_at)
    WHERE erased_at IS NOT NULL AND slug IS NULL;

-- Scans by UTC day: of people, and of known bots. A generation is the life of one counter
-- in the cache, which counts from 0; the counts of a day are the sum of its generations.
CREATE TABLE scans (
    qr_id uuid REFERENCES qr_codes,
    day date,
    generation uuid,
    people integer NOT NULL CHECK (people >= 0),
    bots integer NOT NULL CHECK (bots >= 0),
    PRIMARY KEY (qr_id, day, generation)
);

CREATE OR REPLACE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$
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
    NEW.kept_until := NULL;
    IF NEW.slug IS NOT NULL THEN
        DELETE FROM public.scans WHERE qr_id = NEW.id;
    END IF;
    RETURN NEW;
END
$$;

-- A slug is never used again, so its row stays, whoever deletes tombstones.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION keep() FROM PUBLIC;
CREATE TRIGGER keep BEFORE DELETE ON qr_codes
    FOR EACH ROW WHEN (OLD.slug IS NOT NULL) EXECUTE FUNCTION keep();

GRANT SELECT (slug) ON qr_codes TO qr_generate;
GRANT UPDATE (kept_until) ON qr_codes TO qr_manage;
GRANT SELECT (count, kept_until) ON qr_codes TO qr_cleanup;
GRANT SELECT, DELETE ON scans TO qr_manage;
GRANT SELECT, INSERT, DELETE, UPDATE (people, bots) ON scans TO qr_cleanup;
GRANT SELECT, DELETE ON scans TO qr_app;
