"""What leaves the app as a file: sessions to be taken up again."""
