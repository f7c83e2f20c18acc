"""Mutexes and semaphores: pure rules about who holds a lock, who waits, and who is next. Values and functions alone."""
