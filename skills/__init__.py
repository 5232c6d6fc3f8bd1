"""The library of SKILL.md folders; its reader comes with the skills issue."""
