"""One module for each verb; `pkg.cli.app` imports it when the verb is called."""
