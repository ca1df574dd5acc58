"""Training: prepare a cohort once, then autoencoder, base model, control branch and reader, each resumable to the step."""
