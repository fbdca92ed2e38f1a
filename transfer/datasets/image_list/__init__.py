"""Class folders, lists or a public set come in; images to learn from and a sealed test go out."""
