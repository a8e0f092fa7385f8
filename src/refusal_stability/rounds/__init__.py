"""Sampling by rounds: models asked and answers judged, through the store, until each prompt has enough samples."""
