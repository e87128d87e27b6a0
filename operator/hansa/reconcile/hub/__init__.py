"""What the hub makes of its objects, and what it does about them."""
