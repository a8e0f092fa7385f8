"""Stability of LLM safety decisions across sampling seeds and temperatures."""

__version__ = "0.1.0"
