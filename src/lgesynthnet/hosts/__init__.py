"""Hosts: the slices that can be painted into, each with its heart located."""
