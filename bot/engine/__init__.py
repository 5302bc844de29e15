"""Moves jobs through their states: one module for each state, and what they share."""
