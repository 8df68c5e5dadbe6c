"""How words become a plan and a plan an answer."""
