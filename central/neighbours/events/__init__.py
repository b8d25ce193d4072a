"""Events to others: subscriptions that are called by webhook or pull a feed, and notices to citizens through them."""
