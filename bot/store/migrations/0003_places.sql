-- Where the video is posted: in its channel, elsewhere in the server, or in a direct message; and why not before.

ALTER TABLE job ADD COLUMN parent_id BIGINT;

ALTER TABLE job ADD COLUMN place TEXT NOT NULL DEFAULT 'channel';

ALTER TABLE job ADD COLUMN place_id BIGINT;
