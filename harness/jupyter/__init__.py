"""Jupyter servers, and the people at their documents."""
