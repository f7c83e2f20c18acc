"""Which kinds the API server serves, and the types of their fields: found out in the background, so nobody waits."""
