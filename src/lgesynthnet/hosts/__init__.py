"""Hosts: the slices that a scar can be painted into, each with its heart located."""
