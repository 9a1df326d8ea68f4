"""The web application: `whylook serve`. It needs the extra `web`; nothing here is imported before that command runs."""
