"""Everything Streamlit: view state, navigation, widgets and plain-language texts."""
