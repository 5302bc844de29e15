-- Money is in millionths of a US dollar. Times are ISO 8601 text in UTC, always with microseconds, so that
-- their order is their text's order.

CREATE TABLE job (
    id BIGINT PRIMARY KEY,
    guild_id BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    price INTEGER NOT NULL CHECK (price >= 0),
    charged INTEGER NOT NULL CHECK (charged IN (0, price)),
    quoted_micros BIGINT,
    may_fall_over INTEGER NOT NULL DEFAULT 0,
    fell_from TEXT,
    created_at TEXT NOT NULL,
    state_at TEXT NOT NULL,
    not_before TEXT NOT NULL,
    submitted_at TEXT,
    ready_at TEXT,
    operation TEXT,
    video TEXT,
    card_id BIGINT,
    card_closed INTEGER NOT NULL DEFAULT 0,
    message_id BIGINT,
    failure TEXT,
    advice TEXT,
    detail TEXT,
    ended_by BIGINT
);

CREATE INDEX job_open ON job (state, created_at)
WHERE state NOT IN ('delivered', 'failed', 'cancelled');

CREATE INDEX job_unshown ON job (state) WHERE card_closed = 0;

CREATE INDEX job_usage ON job (guild_id, user_id, created_at);

CREATE INDEX job_times ON job (provider, model, ready_at);

CREATE TABLE note (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
