"""The embedded reference models: a grammar of answers, planted decision shares, and training on both."""
