"""Commands about it0 itself, which people say in any chat and no engine hears."""
