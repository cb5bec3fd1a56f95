"""Which models there are, how they are fetched, checked, sized and loaded."""
