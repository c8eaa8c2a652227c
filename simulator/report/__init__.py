"""Everything that people and programs read of a run, made from its event log alone."""
