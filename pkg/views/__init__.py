"""Facts about Workflows, read from the API server with the rights of whoever asks. Knows no terminal and no page."""
