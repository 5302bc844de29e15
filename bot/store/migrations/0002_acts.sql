-- What moderators have decided. Rows are only ever added: a server's rules follow from reading them in order.

CREATE TABLE act (
    id BIGINT PRIMARY KEY,
    guild_id BIGINT NOT NULL,
    by_id BIGINT NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    member_id BIGINT,
    change TEXT NOT NULL,
    reason TEXT
);

CREATE INDEX act_server ON act (guild_id, member_id, at, id);

CREATE INDEX act_kind ON act (kind, guild_id, id);

-- What a grant pays of a job. It counts as long as the job is charged.

CREATE TABLE draw (
    job_id BIGINT NOT NULL,
    grant_id BIGINT NOT NULL,
    credits INTEGER NOT NULL CHECK (credits > 0),
    PRIMARY KEY (job_id, grant_id)
);

-- What counts against the server's budget now: the quoted price, then the real one, 0 once released.

ALTER TABLE job ADD COLUMN cost_micros BIGINT NOT NULL DEFAULT 0;

CREATE INDEX job_server ON job (guild_id, created_at);

-- Open jobs are few among all that ever were; the index they had was never used.

DROP INDEX job_open;

CREATE INDEX job_state ON job (state, state_at);
