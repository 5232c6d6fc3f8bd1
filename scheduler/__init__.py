"""What is due: timers now, standing orders and escalations later."""
