"""Developer tools of this repository: not installed, run from its root with `python -m hack.<name>`."""
