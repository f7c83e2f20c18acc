"""What the cluster tests share: a view of one namespace, its history, controllers as processes, the audit log."""
