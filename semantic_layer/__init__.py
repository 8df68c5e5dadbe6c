"""What numbers mean: models, queries, their compilation to SQL, the guard and the engines."""
