"""How a picture becomes a network's input."""
