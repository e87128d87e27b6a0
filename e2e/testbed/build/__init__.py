"""Where programs and images come from: found, downloaded or built, each once, into the cache."""
