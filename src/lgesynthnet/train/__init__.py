"""Training: a cohort is prepared once, then every network is trained from it; each training resumes at its last checkpoint."""
