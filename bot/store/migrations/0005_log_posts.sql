-- What the moderators' log is told: written down first, then posted. `attempt` makes a new nonce; `closed_at` says
-- that the post is there or never will be.

CREATE TABLE log_post (
    kind TEXT NOT NULL,
    about_id BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    guild_id BIGINT NOT NULL,
    place BIGINT NOT NULL,
    text TEXT NOT NULL,
    created_at TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    message_id BIGINT,
    closed_at TEXT,
    PRIMARY KEY (kind, about_id, channel_id)
);

CREATE INDEX log_post_open ON log_post (channel_id, place) WHERE closed_at IS NULL;
