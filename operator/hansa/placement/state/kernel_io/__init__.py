"""Between the books and the kernel: columns in, decisions out."""
