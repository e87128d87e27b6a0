"""What a member's machines have to lend: Node objects and other people's pods, read by rule."""
