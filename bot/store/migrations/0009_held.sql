-- Until when the provider may still be working on a job that is over for us: it takes a place of its member's, and at
-- the provider, and what it costs is looked up once more after that.

ALTER TABLE job ADD COLUMN held_until TEXT;

CREATE INDEX job_held ON job (held_until) WHERE held_until IS NOT NULL;

-- The roles that the member had when it was booked, as a list in JSON.

ALTER TABLE job ADD COLUMN role_ids TEXT NOT NULL DEFAULT '[]';

-- When its price was booked, which is what windows count by: later than its creation where an uncharged video is asked
-- for again.

ALTER TABLE job ADD COLUMN booked_at TEXT;

UPDATE job SET booked_at = created_at;

CREATE INDEX job_booked ON job (guild_id, user_id, booked_at);
