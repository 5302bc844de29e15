-- What a video was to cost, in millionths of a US dollar; whether another provider may take it, and from which
-- one it came; what a provider that refused it suggests instead.

ALTER TABLE job ADD COLUMN quoted_micros BIGINT;

ALTER TABLE job ADD COLUMN may_fall_over INTEGER NOT NULL DEFAULT 0;

ALTER TABLE job ADD COLUMN fell_from TEXT;

ALTER TABLE job ADD COLUMN advice TEXT;
