"""Tables and figures, made from recorded files alone. Every module has `make(profile, root) -> list of its files`."""
