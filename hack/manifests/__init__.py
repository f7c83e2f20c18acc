"""Makes the parts of installer/ that follow from others - the Helm chart, the dashboard - and checks all of it."""
