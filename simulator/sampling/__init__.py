"""The odds of getting stuck: many runs of the timed engine, and closed forms where they hold."""
