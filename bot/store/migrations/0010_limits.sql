-- What the operator's limits count: videos that cost something, and what one member made in all servers.

CREATE INDEX job_cost ON job (created_at, guild_id, cost_micros) WHERE cost_micros > 0;

CREATE INDEX job_member ON job (user_id, created_at);
