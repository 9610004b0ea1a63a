"""What a mistaken instruction may have been meant to be."""
