"""What a user keeps: projects, tables, prompts, uploads and session files."""
