"""What the server answers: one module per part, each with a `router`."""
