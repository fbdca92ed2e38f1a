"""What a family of networks is: its shapes, and the names that publishers give them."""
