"""The web application: its pages, what they read, and their streams."""
