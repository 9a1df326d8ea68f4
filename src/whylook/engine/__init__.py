"""All that runs a network: lends it, finds its layers, traces, probes, and puts everything back."""
