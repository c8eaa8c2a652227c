"""Why something is stuck, with the proof, and what mends it: cores, wait-for graphs and repairs, each re-simulated."""
