"""Keep or reject, with the reason: a policy, neither a metric nor a model. No torch."""
