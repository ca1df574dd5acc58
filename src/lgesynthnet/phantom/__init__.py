"""Simulated LGE patients: anatomy, scar, inversion-recovery signal, written in the EMIDEC layout. No torch."""
