"""What a question asks the data beyond one table: why it changed, what is unusual, what works. Each module is one analysis."""
