"""Is a model fed the way it was trained? Pictures, run through the plausible input conventions, say.

The folder is called `auditing`, so that importing it never hides the public function `whylook.audit`.
"""
