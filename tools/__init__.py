"""What the assistant can do with a result: run it, chart it, explain it."""
