"""The phantom: simulated LGE patients with anatomy, scar and inversion-recovery signal, written in the EMIDEC layout."""
