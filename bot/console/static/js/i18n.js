/** Words, dates and durations in the reader's language. */
let catalogue = {};
let language = 'en';

/** Take a language's catalogue into use. */
export function setTexts(lang, texts) {
  language = lang;
  catalogue = texts;
  document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
}

/** Return the language in use. */
export const lang = () => language;

/** Return the sentence of a key with its {places} filled; a missing key shows as itself. */
export function t(key, places = {}) {
  const sentence = catalogue[key] ?? key;
  return sentence.replace(/\{\{|\}\}|\{(\w+)\}/g, (all, name) =>
    name ? String(places[name] ?? '') : all[0]);
}

/** Return the sentence of a key, or a fallback where the catalogue has none. */
export const tOr = (key, fallback) => catalogue[key] ?? fallback;

/** Return the locale for dates. */
const locale = () => (language === 'zh' ? 'zh-CN' : 'en-GB');

/** Return names as a list in words. */
export const listed = (names) => language === 'zh' ? names.join('、') : new Intl.ListFormat(locale(), { type: 'conjunction' }).format(names);

/** Return a moment in full. */
export function full(iso) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' }).format(
    new Date(iso));
}

/** Return a moment in short: the time today, else the day too. */
export function short(iso, seconds = false) {
  const at = new Date(iso);
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(seconds && { second: '2-digit' }) };
  const now = new Date();
  const day = at.getFullYear() !== now.getFullYear() ? { dateStyle: 'medium' } : { month: 'short', day: 'numeric' };
  const time = new Intl.DateTimeFormat(locale(), clock).format(at);
  if (at.toDateString() === now.toDateString()) return time;
  return `${new Intl.DateTimeFormat(locale(), day).format(at)} ${time}`;
}

/** Return a `time` element. */
export function when(iso, seconds = false) {
  const node = document.createElement('time');
  if (!iso) return node;
  node.dateTime = iso;
  node.title = full(iso);
  node.textContent = short(iso, seconds);
  return node;
}

/** Return a duration as m:ss or h:mm:ss. */
export function countdown(ms) {
  const all = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, '0');
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}
