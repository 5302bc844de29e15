-- Where the video is posted: in its channel, elsewhere in the server, or in a direct message; and who may see it.

ALTER TABLE job ADD COLUMN parent_id BIGINT;

ALTER TABLE job ADD COLUMN is_public INTEGER NOT NULL DEFAULT 0;

ALTER TABLE job ADD COLUMN place TEXT NOT NULL DEFAULT 'channel';

ALTER TABLE job ADD COLUMN place_id BIGINT;

ALTER TABLE job ADD COLUMN announcing_at TEXT;

-- Whether it was shown once more to everybody.

ALTER TABLE job ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;
