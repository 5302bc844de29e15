-- What follows from a server's acts, kept in the transaction that adds an act: for everybody, and for each member whom
-- acts are about. `act_id` is the latest act of the server that is folded in. Where that is not the latest there is, or
-- the format is another one, all acts are folded anew.

CREATE TABLE server_rules (
    guild_id BIGINT PRIMARY KEY,
    format INTEGER NOT NULL,
    act_id BIGINT NOT NULL,
    snapshot TEXT NOT NULL
);

CREATE TABLE member_rules (
    guild_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    snapshot TEXT NOT NULL,
    listed_until TEXT,
    PRIMARY KEY (guild_id, member_id)
);

-- Who has an allowance or a block of their own, and until when.

CREATE INDEX member_rules_listed ON member_rules (guild_id, listed_until) WHERE listed_until IS NOT NULL;

-- A server's latest acts; those of one kind are not looked for any more.

CREATE INDEX act_time ON act (guild_id, at, id);

DROP INDEX act_kind;

CREATE INDEX draw_grant ON draw (grant_id, job_id, credits);

-- What a server has spent is summed up without a look at its jobs' rows.

CREATE INDEX job_spent ON job (guild_id, created_at, cost_micros);

DROP INDEX job_server;

CREATE INDEX log_post_place ON log_post (place);

CREATE INDEX log_post_message ON log_post (channel_id, message_id);
