"""The hands: commands on servers by SSH, and on the bot's own machine."""
