"""What a person sees: the self-contained report, the notebook view, and the saved folder."""
