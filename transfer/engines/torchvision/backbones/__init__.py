"""Images come in; feature maps go out."""
