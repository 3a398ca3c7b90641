"""Stress: Jupyter's real-time collaboration under load, and proof that nothing was lost."""
