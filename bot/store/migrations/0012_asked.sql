-- What the providers were sent within the last hour, for the operator's hourly budgets.

CREATE INDEX job_asked ON job (asked_at, guild_id, cost_micros) WHERE cost_micros > 0;
