"""Discord in, Discord out: commands, buttons and what they look like. No SQL, no HTTP, no rules."""
