"""How parameters move: optimisers, schedules, objectives and the loop over batches."""
