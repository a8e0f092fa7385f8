"""The published study: its public data fetched, its models run as recorded ones, its figures beside ours."""
