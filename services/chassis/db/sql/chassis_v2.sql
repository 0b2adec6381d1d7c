-- Files of a studio: images, imports, exports. Added by the migration of each service that keeps some.

-- Known by their content. One that nobody uses goes when its time is over.
CREATE TABLE blobs (
    tenant_id uuid NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    upload_id uuid NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    -- names of what shows it
    used_by text[] NOT NULL DEFAULT '{}',
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, sha256)
);

-- Written while an upload runs, before anybody knows what it will be; those of no blob go too.
CREATE TABLE blob_chunks (
    tenant_id uuid NOT NULL,
    upload_id uuid NOT NULL,
    position integer NOT NULL,
    data bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, upload_id, position)
);
-- What is stored is compressed already, mostly.
ALTER TABLE blob_chunks ALTER data SET STORAGE EXTERNAL;
