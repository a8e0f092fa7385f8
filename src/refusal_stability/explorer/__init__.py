"""A local page for looking at a study prompt by prompt: `study` reads, `views` and `links` arrange, `app` shows."""
