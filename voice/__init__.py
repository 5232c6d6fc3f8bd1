"""Speech: its ports stand in ``voice.ports``; the models come with the voice issue."""
