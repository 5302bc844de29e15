-- What a video was to cost, in millionths of a US dollar, and the provider it was first meant for.

ALTER TABLE job ADD COLUMN quoted_micros BIGINT;

ALTER TABLE job ADD COLUMN fell_from TEXT;
