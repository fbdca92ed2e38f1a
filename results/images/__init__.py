"""What one trial did on every test image comes in; intervals and paired tests over the images go out."""
