"""Why a run ended as it did: goals, verdicts, and reasons in words."""
