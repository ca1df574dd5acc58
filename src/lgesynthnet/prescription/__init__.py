"""What to paint and how to say it: the typed prescription, its language, priors, painting and measuring back. No torch."""
