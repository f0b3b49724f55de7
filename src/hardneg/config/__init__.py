"""From words to objects: composing a config, and the one door through which its classes are made."""
