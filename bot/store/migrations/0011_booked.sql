-- What one member has used in all servers counts when it was booked, as in each server.

DROP INDEX job_member;

CREATE INDEX job_member ON job (user_id, booked_at);
