"""What is to be done for one CronWorkflow, as a pure function from a snapshot to a plan. One file for each policy."""
