"""Coverage-guided fuzzing of everything that decodes bytes from outside.

    python -m harness.fuzz                        all targets, 30 s each
    python -m harness.fuzz update --seconds 600   one of them
    python -m harness.fuzz update --input FILE    what a run has found, again

A target takes bytes, and lets nothing out but `Broken`: only the errors that are documented may
come from what it calls, in bounded time and memory. Needs atheris (`pip install -e .[fuzz]`).
"""
