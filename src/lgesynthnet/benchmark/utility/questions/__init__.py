"""Two questions of the utility experiment beside few patients: a kind of scar that is missing, and labels that a threshold has made."""
