"""What can change: the object store, the caches over it, and the world of queues, tasks and timers."""
