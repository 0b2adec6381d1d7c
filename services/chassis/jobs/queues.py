"""A queue: a table of rows that are due some time, and the statements by which processes share them.

Every service has `jobs`. A table whose rows are their own jobs has the same columns (`id`, `tenant_id`, `kind`,
`due_at`, `retry_at`, `announced_at`, `lease_until`, `lease_token`, a count of runs) and says how its states read.
"""

from dataclasses import dataclass

ROWS_PER_ROUND = 5000
# While so many hints are out nobody needs more: in a backlog most of them would be old before their turn came.
ENOUGH_ANNOUNCED = 2500


@dataclass(frozen=True)
class Queue:
    """How a table is a queue. All but the first are SQL."""

    table: str
    # The row waits for a worker, whether or not it is due.
    waiting: str
    # A worker has it.
    held: str
    # The column that counts its runs.
    runs: str
    # What changes beside the lease when a worker takes it, gives it back with an outcome, or is lost with it.
    taken: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def is_due(self) -> str:
        """At $1, business time."""
        return f"{self.waiting} AND due_at <= $1 AND (retry_at IS NULL OR retry_at <= clock_timestamp())"

    @property
    def announce(self) -> str:
        """At $1, of kinds $2, what is not announced; nothing while enough hints are out."""
        hints = (
            f"SELECT FROM {self.table} WHERE {self.is_due} AND kind = ANY($2::text[])"
            f" AND announced_at IS NOT NULL LIMIT {ENOUGH_ANNOUNCED}"
        )
        most = f"CASE WHEN (SELECT count(*) FROM ({hints}) h) < {ENOUGH_ANNOUNCED} THEN {ROWS_PER_ROUND} ELSE 0 END"  # noqa: S608 - constants only
        return (
            f"WITH due AS (SELECT id FROM {self.table} WHERE {self.is_due} AND kind = ANY($2::text[])"  # noqa: S608 - constants only
            f" AND announced_at IS NULL ORDER BY due_at, id LIMIT {most} FOR UPDATE SKIP LOCKED)"
            f" UPDATE {self.table} q SET announced_at = clock_timestamp() FROM due WHERE q.id = due.id"
            " RETURNING q.id, q.tenant_id, q.due_at"
        )

    @property
    def take_back(self) -> str:
        """An announcement of ids $1 that was not made."""
        return f"UPDATE {self.table} SET announced_at = NULL WHERE id = ANY($1::uuid[]) AND {self.waiting}"  # noqa: S608 - constants only

    @property
    def forget(self) -> str:
        """At $1, announcements of kinds $2 that nobody followed for $3 seconds: the rows are announced again."""
        return (
            f"WITH old AS (SELECT id FROM {self.table} WHERE {self.is_due} AND kind = ANY($2::text[])"  # noqa: S608 - constants only
            " AND announced_at IS NOT NULL AND announced_at < clock_timestamp() - make_interval(secs => $3)"
            f" ORDER BY id LIMIT {ROWS_PER_ROUND} FOR UPDATE SKIP LOCKED)"
            f" UPDATE {self.table} q SET announced_at = NULL FROM old WHERE q.id = old.id RETURNING q.id"
        )

    @property
    def oldest(self) -> str:
        """Since when the oldest waits that is due at $1. Two looks, each along its own partial index."""
        look = f"SELECT min(due_at) FROM {self.table} WHERE {self.is_due} AND announced_at"  # noqa: S608 - constants only
        return f"SELECT least(({look} IS NULL), ({look} IS NOT NULL)) AS due_at"

    @property
    def claim(self) -> str:
        """At $1, ids $2 of kinds $3, under token $4 for $5 seconds.

        In the order of ids, so that workers with overlapping chunks cannot deadlock.
        """
        changes = ", ".join((f"{self.runs} = {self.runs} + 1", *self.taken))
        # Who comes without an announcement makes up for it: what is held is looked for among what is announced.
        return (
            f"WITH picked AS (SELECT id AS picked_id FROM {self.table} WHERE {self.is_due}"  # noqa: S608 - constants only
            " AND id = ANY($2::uuid[]) AND kind = ANY($3::text[]) ORDER BY id FOR UPDATE SKIP LOCKED)"
            f" UPDATE {self.table} q SET lease_token = $4, announced_at = coalesce(announced_at, clock_timestamp()),"
            f" lease_until = clock_timestamp() + make_interval(secs => $5), {changes}"
            " FROM picked WHERE q.id = picked.picked_id RETURNING q.*"
        )

    @property
    def passed_over(self) -> str:
        """Of ids $2 of kinds $3 those that are due at $1 and that nobody has: a claim found them locked."""
        return (
            f"SELECT id FROM {self.table} WHERE {self.is_due}"  # noqa: S608 - constants only
            " AND id = ANY($2::uuid[]) AND kind = ANY($3::text[])"
        )

    @property
    def renew(self) -> str:
        """The lease of ids $1 under token $3 for another $2 seconds."""
        return (
            f"UPDATE {self.table} SET lease_until = clock_timestamp() + make_interval(secs => $2)"  # noqa: S608 - constants only
            " WHERE id = ANY($1::uuid[]) AND lease_token = $3 RETURNING id"
        )

    @property
    def settle(self) -> str:
        """Under token $1: of ids $2 the new states $3, outcomes $4 and pauses $5 in seconds."""
        changes = "".join(f", {change}" for change in self.settled)
        return (
            f"UPDATE {self.table} q SET lease_until = NULL, lease_token = NULL, announced_at = NULL,"  # noqa: S608 - constants only
            f" retry_at = clock_timestamp() + make_interval(secs => r.pause){changes}"
            " FROM unnest($2::uuid[], $3::text[], $4::text[], $5::float8[]) AS r (id, state, outcome, pause)"
            " WHERE q.id = r.id AND q.lease_token = $1 RETURNING q.id"
        )

    @property
    def sweep(self) -> str:
        """Rows of kinds $1, which run at most $2 times, whose lease is over."""
        changes = "".join(f", {change}" for change in self.lost)
        return (
            f"WITH gone AS (SELECT id AS gone_id, k.max_attempts FROM {self.table}"  # noqa: S608 - constants only
            " JOIN unnest($1::text[], $2::int[]) AS k (kind, max_attempts) USING (kind)"
            f" WHERE {self.held} AND lease_until < clock_timestamp() ORDER BY id LIMIT {ROWS_PER_ROUND}"
            f" FOR UPDATE OF {self.table} SKIP LOCKED)"
            f" UPDATE {self.table} q SET lease_until = NULL, lease_token = NULL, announced_at = NULL{changes}"
            f" FROM gone WHERE q.id = gone.gone_id RETURNING q.id, q.kind, q.{self.runs} AS attempts,"
            f" NOT ({self.waiting}) AS failed"
        )


JOBS = Queue(
    "jobs",
    waiting="state = 'queued'",
    held="state = 'running'",
    runs="attempts",
    taken=("state = 'running'",),
    settled=(
        "state = r.state",
        "outcome = r.outcome",
        "finish_time = CASE WHEN r.state <> 'queued' THEN clock_timestamp() END",
    ),
    lost=(
        "state = CASE WHEN attempts < gone.max_attempts THEN 'queued' ELSE 'failed' END",
        "outcome = 'LEASE_EXPIRED'",
        "finish_time = CASE WHEN attempts < gone.max_attempts THEN NULL ELSE clock_timestamp() END",
    ),
)
