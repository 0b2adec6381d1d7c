-- Tables that every service has. Owned by services/chassis; installed by each service's first migration.

-- Changes to tell the mesh, committed with the rows they speak of. Outside row level security: the relay serves all studios.
CREATE TABLE outbox (
    event_id uuid PRIMARY KEY,
    tenant_id uuid,
    type text NOT NULL,
    aggregate text NOT NULL,
    aggregate_id uuid NOT NULL,
    version bigint NOT NULL,
    payload jsonb NOT NULL,
    traceparent text,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    publish_time timestamptz
);
CREATE INDEX ix_outbox_unpublished ON outbox (create_time) WHERE publish_time IS NULL;
CREATE INDEX ix_outbox_type_create_time ON outbox (type, create_time);

-- Events of others that have had their effect here. `source_time` is the event's create_time at its owner.
CREATE TABLE inbox (
    event_id uuid PRIMARY KEY,
    type text NOT NULL,
    source_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ix_inbox_type_source_time ON inbox (type, source_time);

-- How far the feed check of each publishing service has come.
CREATE TABLE feed_positions (
    source text PRIMARY KEY,
    checked_until timestamptz NOT NULL
);

-- Events whose effect failed for a reason that repeating does not cure; a person looks and replays.
CREATE TABLE dead_letters (
    event_id uuid PRIMARY KEY,
    type text NOT NULL,
    event jsonb NOT NULL,
    error text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Due work. A broker message is only a hint to look here.
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    tenant_id uuid,
    kind text NOT NULL,
    dedup_key text NOT NULL,
    args jsonb NOT NULL DEFAULT '{}',
    -- business time
    due_at timestamptz NOT NULL,
    -- real time before which it is not tried again
    retry_at timestamptz,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'cancelled', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    announced_at timestamptz,
    lease_until timestamptz,
    lease_token uuid,
    outcome text,
    traceparent text,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    finish_time timestamptz,
    UNIQUE (kind, dedup_key)
);
CREATE INDEX ix_jobs_queued ON jobs (due_at, id) WHERE state = 'queued';
CREATE INDEX ix_jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX ix_jobs_finish_time ON jobs (finish_time) WHERE finish_time IS NOT NULL;

-- What a repeated write answers. Keyed by the authenticated principal, so outside row level security.
CREATE TABLE idempotency (
    tenant_id uuid NOT NULL,
    principal text NOT NULL,
    method text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    -- the serialized response without its secret fields, or the resource to render it from again
    response bytea,
    resource_id uuid,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, principal, method, key)
);
CREATE INDEX ix_idempotency_create_time ON idempotency (create_time);

-- Who did what. The app role may only insert and read.
CREATE TABLE audit_entries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    principal text NOT NULL,
    method text NOT NULL,
    resource text NOT NULL,
    changes jsonb NOT NULL DEFAULT '{}',
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
