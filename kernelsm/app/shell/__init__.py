"""What all pages share: the view, the session, navigation, controls, words."""
