"""Mutexes and semaphores at the edge: Leases, ConfigMaps, and who keeps the time. The rules are in planner/locks."""
