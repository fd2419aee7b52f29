// One place for what reaches the log files. Phone numbers lose their middle digits, and
// libsignal's habit of printing whole sessions, private keys included, is reduced to its words.
import { AsyncLocalStorage } from 'node:async_hooks';

export const mask = (text) =>
  String(text).replace(/\d{7,}/g, (digits) =>
    digits.length < 10 ? `${digits.slice(0, 2)}***${digits.slice(-2)}` : `${digits.slice(0, 4)}***${digits.slice(-4)}`);

const plain = (part) => {
  if (part instanceof Error) return part.stack ?? part.message;
  return typeof part === 'object' && part !== null ? '' : String(part);
};

const SESSION_ERROR = /^Session error:\w+: /;
const causes = new AsyncLocalStorage();

export function guardConsole() {
  for (const level of ['log', 'info', 'warn', 'error']) {
    const print = console[level].bind(console);
    console[level] = (...parts) => {
      if (SESSION_ERROR.test(parts[0])) causes.getStore()?.add(parts[0].replace(SESSION_ERROR, ''));
      print(mask(parts.map(plain).filter(Boolean).join(' ')));
    };
  }
}

/** When no session fits, libsignal says why in its log alone. Runs work and gives it those words. */
export const collectingCauses = (work) => {
  const found = new Set();
  return causes.run(found, () => work(found));
};

const silent = () => {};

/** The logger that Baileys wants: its errors in its own words, nothing else. */
export const baileysLogger = {
  level: 'error',
  child: () => baileysLogger,
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error(context, words) {
    const cause = context?.err ?? context?.error;
    console.error([words ?? context, cause?.message].filter(Boolean).join(': '));
  },
};
