"""The application: jobs, quotas, media, delivery and the Discord client that holds them together."""
