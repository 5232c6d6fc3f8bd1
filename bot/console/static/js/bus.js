/** A tiny bus: topics that parts of the page listen to. */
const topics = new Map();

/** Listen to a topic; returns the function that ends it. */
export function on(topic, listener) {
  if (!topics.has(topic)) topics.set(topic, new Set());
  topics.get(topic).add(listener);
  return () => topics.get(topic).delete(listener);
}

/** Tell all listeners of a topic. */
export function emit(topic, data) {
  for (const listener of [...(topics.get(topic) || [])]) listener(data);
}
