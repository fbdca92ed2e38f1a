"""Records and what runs left beside them come in; one HTML page goes out."""
