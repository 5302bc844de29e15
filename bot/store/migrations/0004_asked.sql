-- When the vendor was about to be asked to start: set once, right before the request, and empty again when the job
-- goes back to the queue. A job that is being submitted without it was never sent.

ALTER TABLE job ADD COLUMN asked_at TEXT;

-- What was under way before there was this column may have been sent, and is not sent a second time.

UPDATE job SET asked_at = state_at WHERE state IN ('submitting', 'running', 'downloading', 'delivering');

-- Since when a job waits for its video beyond its usual time: its provider, the file or Discord cannot be reached.

ALTER TABLE job ADD COLUMN overdue_at TEXT;
