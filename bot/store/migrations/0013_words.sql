-- The words of docs/glossary.md: what moderators decided is a decision, another provider is a fallback.

ALTER TABLE act RENAME TO decision;

DROP INDEX act_server;
DROP INDEX act_time;
CREATE INDEX decision_server ON decision (guild_id, member_id, at, id);
CREATE INDEX decision_time ON decision (guild_id, at, id);

UPDATE decision SET kind = 'fallback', change = REPLACE(change, '"fall-over"', '"fallback"') WHERE kind = 'fall-over';

ALTER TABLE job RENAME COLUMN fell_from TO fallback_from;

ALTER TABLE job RENAME COLUMN may_fall_over TO may_fall_back;

UPDATE log_post SET kind = 'decision' WHERE kind = 'act';

ALTER TABLE server_rules RENAME COLUMN act_id TO decision_id;
