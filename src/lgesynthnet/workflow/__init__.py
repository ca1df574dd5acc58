"""The verbs a user runs: plan, synthesize, demo; resumable, and every run leaves a report."""
