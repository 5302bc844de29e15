"""Who may make how many videos: allowances, moderators' decisions, the operator's limits. Pure."""
