"""Mutexes and semaphores at the edge: Leases, ConfigMaps, and the thread that keeps the time. The rules are in planner/locks."""
