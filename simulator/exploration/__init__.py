"""Every run of a scenario: the states that can be reached, how it can end, and with what chance."""
