-- When the vendor was about to be asked to start: set once, right before the request, and empty again when the job
-- goes back to the queue. A job that is being submitted without it was never sent.

ALTER TABLE job ADD COLUMN asked_at TEXT;

-- Since when a job waits for its video beyond its usual time: its provider, the file or Discord cannot be reached.

ALTER TABLE job ADD COLUMN overdue_at TEXT;
