"""What decides which step of a world comes next, and when: on a clock (`timed`), or every possible way (`untimed`)."""
