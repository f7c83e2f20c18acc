"""The command line `kubectl workflow`: options, columns and colours around the facts of `pkg.views`."""
