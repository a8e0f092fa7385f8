"""What a study asks of its models and judges: how much it is, what a run will need for it, and how far it is."""
