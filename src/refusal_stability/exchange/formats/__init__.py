"""The formats of logs: one file a format, which registers itself."""
