"""The one place that names the version; setup.cfg, --version and the user agent read it."""

VERSION = "0.2.0"
