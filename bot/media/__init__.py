"""Pictures in, videos out. Whatever decodes foreign bytes runs in a child process."""
