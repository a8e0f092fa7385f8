"""Adaptive sampling: which prompts need more samples, when each may stop, and what the full grid would have shown."""
