"""An encoder and labelled images come in; the accuracy of its frozen features goes out."""
