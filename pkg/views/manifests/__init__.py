"""Manifests as people write them, YAML and JSON, with the line and the column of every field. Pure."""
