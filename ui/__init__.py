"""Where people meet the assistant: command line and chat page."""
