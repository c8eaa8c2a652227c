"""One file a question; ``python -m benchmarks`` prints one table. Ratios within one run mean more than times."""
