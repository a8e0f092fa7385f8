"""Metric tables and figures -> one self-contained HTML page, its Markdown twin, LaTeX tables and macros."""
