"""Builds the container image: the base from Debian's packages, the tree of Python packages, the image, the release."""
